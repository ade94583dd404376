//! How large a volume has to be.

use std::fmt;

use csi::v1::CapacityRange;
use placement::Bytes;

use crate::filesystem::{Filesystem, XFS_MINIMUM};

/// Usable bytes that a volume has at least, and at most if there is a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// At least.
    pub required: Bytes,
    /// At most.
    pub limit: Option<Bytes>,
}

/// The size makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Nothing was asked for.
    #[error("asked for a volume of 0 bytes: ask for 1 byte or more")]
    Zero,
    /// Less than nothing was asked for.
    #[error("{name} is {value}: it has to be between 1 and 9223372036854775807")]
    Negative {
        /// The field of the capacity range.
        name: &'static str,
        /// Its value.
        value: i64,
    },
    /// The limit is below what is required.
    #[error("asked for at least {required} and at most {limit}: raise the limit or lower the request")]
    Reversed {
        /// At least.
        required: Bytes,
        /// At most.
        limit: Bytes,
    },
    /// The file system needs more.
    #[error(
        "asked for {asked}, but xfs needs at least {}: ask for more, or for ext4",
        XFS_MINIMUM
    )]
    BelowXfs {
        /// What was asked for, or the limit.
        asked: Bytes,
    },
}

impl Size {
    /// Reads the capacity range of a CreateVolume call for a volume with `filesystem`, or none for raw block.
    ///
    /// No range at all means any size (CSI: "If not specified, the Plugin MAY choose an implementation-defined
    /// capacity range"): the smallest. A range of zeros is what a claim of 0 bytes becomes, and refused.
    ///
    /// # Errors
    /// Says what is wrong with the numbers.
    pub fn of(range: Option<&CapacityRange>, filesystem: Option<Filesystem>) -> Result<Self, SizeError> {
        let minimum = filesystem.map_or(Bytes::new(1), Filesystem::minimum);
        let Some(range) = range else {
            return Ok(Self {
                required: minimum,
                limit: None,
            });
        };
        let required = given("required_bytes", range.required_bytes)?;
        let limit = given("limit_bytes", range.limit_bytes)?;
        match (required, limit) {
            (None, None) => Err(SizeError::Zero),
            (Some(required), Some(limit)) if limit < required => Err(SizeError::Reversed { required, limit }),
            (Some(asked), _) | (None, Some(asked)) if asked < minimum => Err(SizeError::BelowXfs { asked }),
            (required, limit) => Ok(Self {
                required: required.unwrap_or(minimum),
                limit,
            }),
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

/// CSI: 0 means "not given".
fn given(name: &'static str, value: i64) -> Result<Option<Bytes>, SizeError> {
    let bytes = Bytes::try_from(value).map_err(|_| SizeError::Negative { name, value })?;
    Ok(Some(bytes).filter(|bytes| !bytes.is_zero()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(required: i64, limit: i64, filesystem: Filesystem) -> Result<Size, String> {
        let range = CapacityRange {
            required_bytes: required,
            limit_bytes: limit,
        };
        Size::of(Some(&range), Some(filesystem)).map_err(|error| error.to_string())
    }

    #[test]
    fn no_range_means_the_smallest() {
        let smallest = Size {
            required: Bytes::new(1),
            limit: None,
        };
        assert_eq!(Size::of(None, None), Ok(smallest));
        let xfs = Size {
            required: Bytes::mib(300),
            limit: None,
        };
        assert_eq!(Size::of(None, Some(Filesystem::Xfs)), Ok(xfs));
    }

    #[test]
    fn only_a_limit() {
        let expected = Size {
            required: Bytes::new(1),
            limit: Some(Bytes::mib(20)),
        };
        assert_eq!(size(0, 20 << 20, Filesystem::Ext4), Ok(expected));
    }

    #[test]
    fn nonsense_is_refused_with_its_numbers() {
        for (required, limit, says) in [
            (0, 0, "0 bytes"),
            (-5, 0, "required_bytes is -5"),
            (1, -1, "limit_bytes is -1"),
            (2048, 1024, "at least 2 KiB and at most 1 KiB"),
        ] {
            let error = size(required, limit, Filesystem::Ext4).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn xfs_has_a_minimum() {
        assert!(size(300 << 20, 0, Filesystem::Xfs).is_ok());
        for (required, limit) in [(1, 0), ((300 << 20) - 1, 0), (0, 200 << 20)] {
            let error = size(required, limit, Filesystem::Xfs).unwrap_err();
            assert!(error.contains("xfs needs at least 300 MiB"), "{error}");
        }
    }
}
