//! The file systems that volumes can have.

use std::fmt;
use std::str::FromStr;

use placement::Bytes;

/// A file system that a volume can have. Both can map files directly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FsType {
    /// The default: it fits even the smallest volume.
    #[default]
    Ext4,
    /// For large volumes.
    Xfs,
}

/// The file system is none of those that volumes can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("file system {0:?} is not supported: csi.storage.k8s.io/fstype can be ext4 or xfs")]
pub struct UnknownFsType(String);

impl FsType {
    /// Its name for `mount` and `blkid`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }

    /// The smallest device that it can be made on.
    ///
    /// `mkfs.xfs` since 5.19 refuses less than 300 MiB (`validate_supported` in `mkfs/xfs_mkfs.c`).
    #[must_use]
    pub const fn smallest(self) -> Bytes {
        match self {
            Self::Ext4 => Bytes::mib(4),
            Self::Xfs => Bytes::mib(300),
        }
    }
}

impl fmt::Display for FsType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for FsType {
    type Err = UnknownFsType;

    fn from_str(name: &str) -> Result<Self, UnknownFsType> {
        match name {
            "ext4" => Ok(Self::Ext4),
            "xfs" => Ok(Self::Xfs),
            _ => Err(UnknownFsType(name.into())),
        }
    }
}
