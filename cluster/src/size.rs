//! How large a volume has to be.

use std::fmt;

use placement::Bytes;

use crate::Filesystem;

/// Usable bytes that a volume has at least, and at most if there is a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Not zero, and not less than the file system needs.
    pub required: Bytes,
    /// Not less than `required`.
    pub limit: Option<Bytes>,
}

/// No volume can have that size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Neither a size nor a limit.
    #[error("asked for a volume of 0 bytes: ask for 1 byte or more")]
    Zero,
    /// The limit is below what is required.
    #[error("asked for at least {required} and at most {limit}: raise the limit or lower the request")]
    Reversed {
        /// Usable bytes at least.
        required: Bytes,
        /// Usable bytes at most.
        limit: Bytes,
    },
    /// The file system cannot be that small.
    #[error("asked for {asked}, but {filesystem} needs at least {}: ask for more, or for ext4", filesystem.smallest_request())]
    BelowFilesystem {
        /// The request, or the limit where there is only a limit.
        asked: Bytes,
        /// The file system of the volume.
        filesystem: Filesystem,
    },
}

impl Size {
    /// The size of a volume of which `required` to `limit` usable bytes are asked for; zero is as good as none. Without
    /// a `filesystem` the volume is a raw block device.
    ///
    /// # Errors
    /// No volume can have that size, as the message says with its numbers.
    pub fn new(
        required: Option<Bytes>,
        limit: Option<Bytes>,
        filesystem: Option<Filesystem>,
    ) -> Result<Self, SizeError> {
        let given = |bytes: Option<Bytes>| bytes.filter(|bytes| !bytes.is_zero());
        let smallest = Self::smallest(filesystem).required;
        let (asked, limit) = match (given(required), given(limit)) {
            (None, None) => return Err(SizeError::Zero),
            (Some(required), Some(limit)) if limit < required => return Err(SizeError::Reversed { required, limit }),
            (required, limit) => (required.or(limit).unwrap_or(smallest), limit),
        };
        match filesystem {
            Some(filesystem) if asked < smallest => Err(SizeError::BelowFilesystem { asked, filesystem }),
            Some(_) | None => Ok(Self {
                required: given(required).unwrap_or(smallest),
                limit,
            }),
        }
    }

    /// The smallest size that can be asked for: what a CreateVolume call without a capacity range gets.
    #[must_use]
    pub fn smallest(filesystem: Option<Filesystem>) -> Self {
        Self {
            required: filesystem.map_or(Bytes::new(1), Filesystem::smallest_request),
            limit: None,
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit {
            Some(limit) => write!(f, "{} to {limit}", self.required),
            None => write!(f, "{} or more", self.required),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(required: u32, limit: u32, filesystem: Filesystem) -> Result<Size, String> {
        let size = Size::new(Some(Bytes::new(required)), Some(Bytes::new(limit)), Some(filesystem));
        size.map_err(|error| error.to_string())
    }

    #[test]
    fn only_a_limit() {
        let expected = Size {
            required: Bytes::new(1),
            limit: Some(Bytes::mib(20)),
        };
        assert_eq!(size(0, 20 << 20, Filesystem::Ext4), Ok(expected));
        assert_eq!(Size::new(None, Some(Bytes::mib(20)), None), Ok(expected));
    }

    #[test]
    fn nonsense_is_refused_with_its_numbers() {
        for (required, limit, text) in [(0, 0, "0 bytes"), (2048, 1024, "at least 2 KiB and at most 1 KiB")] {
            let error = size(required, limit, Filesystem::Ext4).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn xfs_has_a_minimum() {
        assert!(size(300 << 20, 0, Filesystem::Xfs).is_ok());
        for (required, limit) in [(1, 0), ((300 << 20) - 1, 0), (0, 200 << 20)] {
            let error = size(required, limit, Filesystem::Xfs).unwrap_err();
            assert!(error.contains("xfs needs at least 300 MiB"), "{error}");
        }
        assert_eq!(Size::smallest(Some(Filesystem::Xfs)).required, Bytes::mib(300));
        assert!(Size::new(Some(Bytes::new(1)), None, None).is_ok());
    }
}
