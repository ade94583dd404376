//! The size that a CreateVolume call asks for.

use std::fmt;

use csi::v1::CapacityRange;
use placement::Bytes;

use crate::filesystem::{Filesystem, XFS_MINIMUM};

/// Usable bytes that a volume has at least, and at most if there is a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// It has these or more.
    pub required: Bytes,
    /// It has these or fewer; none for no limit.
    pub limit: Option<Bytes>,
}

/// Why no volume can have that size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// A range of zeros: what external-provisioner makes of a claim of 0 bytes.
    #[error("asked for a volume of 0 bytes: ask for 1 byte or more")]
    Zero,
    /// A number of the range is below 0.
    #[error("{name} is {value}: it has to be between 1 and 9223372036854775807")]
    Negative {
        /// The field of the capacity range.
        name: &'static str,
        /// What the call says, in bytes.
        value: i64,
    },
    /// The limit is below what is required.
    #[error("asked for at least {required} and at most {limit}: raise the limit or lower the request")]
    Reversed {
        /// The lower end of the range.
        required: Bytes,
        /// The upper end of the range.
        limit: Bytes,
    },
    /// Less than `mkfs.xfs` accepts.
    #[error(
        "asked for {asked}, but xfs needs at least {}: ask for more, or for ext4",
        XFS_MINIMUM
    )]
    BelowXfs {
        /// The lower end of the range, or the upper if there is no lower.
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
    pub fn parse(range: Option<&CapacityRange>, filesystem: Option<Filesystem>) -> Result<Self, SizeError> {
        let minimum = filesystem.map_or(Bytes::new(1), Filesystem::minimum);
        let Some(range) = range else {
            return Ok(Self {
                required: minimum,
                limit: None,
            });
        };
        let required = bytes_or_none("required_bytes", range.required_bytes)?;
        let limit = bytes_or_none("limit_bytes", range.limit_bytes)?;
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

/// CSI: 0 means that the field is not given.
fn bytes_or_none(name: &'static str, value: i64) -> Result<Option<Bytes>, SizeError> {
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
        Size::parse(Some(&range), Some(filesystem)).map_err(|error| error.to_string())
    }

    #[test]
    fn no_range_means_the_smallest() {
        let smallest = Size {
            required: Bytes::new(1),
            limit: None,
        };
        assert_eq!(Size::parse(None, None), Ok(smallest));
        let xfs = Size {
            required: Bytes::mib(300),
            limit: None,
        };
        assert_eq!(Size::parse(None, Some(Filesystem::Xfs)), Ok(xfs));
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
