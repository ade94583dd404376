//! The size that a CreateVolume call asks for.

use cluster::{Filesystem, Size, SizeError};
use csi::v1::CapacityRange;
use placement::Bytes;
use tonic::Code;

/// Why no volume can have the size that a capacity range asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// A number of the range is below 0.
    #[error("{name} is {value}: it has to be between 1 and 9223372036854775807")]
    Negative {
        /// The field of the capacity range.
        name: &'static str,
        /// What the call says, in bytes.
        value: i64,
    },
    /// The numbers do not go together, or not with the file system.
    #[error(transparent)]
    Size(#[from] SizeError),
}

impl RangeError {
    /// CSI "CreateVolume Errors": `OUT_OF_RANGE` for a range that is not supported, `INVALID_ARGUMENT` for one that is
    /// malformed.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Size(SizeError::BelowFilesystem { .. }) => Code::OutOfRange,
            Self::Negative { .. } | Self::Size(SizeError::Zero | SizeError::Reversed { .. }) => Code::InvalidArgument,
        }
    }
}

/// Reads the capacity range of a CreateVolume call for a volume with `filesystem`, or none for a raw block device.
///
/// No range at all means any size (CSI: "If not specified, the Plugin MAY choose an implementation-defined capacity
/// range"): the smallest. A range of zeros is what external-provisioner makes of a claim of 0 bytes, and refused.
///
/// # Errors
/// Says what is wrong with the numbers.
pub fn size_of(range: Option<&CapacityRange>, filesystem: Option<Filesystem>) -> Result<Size, RangeError> {
    let Some(range) = range else {
        return Ok(Size::smallest(filesystem));
    };
    let required = bytes_of("required_bytes", range.required_bytes)?;
    let limit = bytes_of("limit_bytes", range.limit_bytes)?;
    Ok(Size::new(Some(required), Some(limit), filesystem)?)
}

fn bytes_of(name: &'static str, value: i64) -> Result<Bytes, RangeError> {
    Bytes::try_from(value).map_err(|_| RangeError::Negative { name, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(required: i64, limit: i64, filesystem: Filesystem) -> Result<Size, String> {
        let range = CapacityRange {
            required_bytes: required,
            limit_bytes: limit,
        };
        size_of(Some(&range), Some(filesystem)).map_err(|error| error.to_string())
    }

    #[test]
    fn no_range_means_the_smallest() {
        let smallest = Size {
            required: Bytes::new(1),
            limit: None,
        };
        assert_eq!(size_of(None, None), Ok(smallest));
        let xfs = Size {
            required: Bytes::mib(300),
            limit: None,
        };
        assert_eq!(size_of(None, Some(Filesystem::Xfs)), Ok(xfs));
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
        for (required, limit, text) in [
            (0, 0, "0 bytes"),
            (-5, 0, "required_bytes is -5"),
            (1, -1, "limit_bytes is -1"),
            (2048, 1024, "at least 2 KiB and at most 1 KiB"),
        ] {
            let error = size(required, limit, Filesystem::Ext4).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }
}
