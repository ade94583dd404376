//! The file systems that the node's driver can make.

use placement::Bytes;

/// A file system that can be mapped directly (DAX).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filesystem {
    /// What a claim gets that does not say.
    #[default]
    Ext4,
    /// Not below [`XFS_MINIMUM`].
    Xfs,
}

/// `mkfs.xfs` refuses less ("Filesystem must be larger than 300MB", where it means MiB).
pub const XFS_MINIMUM: Bytes = Bytes::mib(300);

/// No file system of that name can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("file system {0:?}: allowed are ext4, xfs")]
pub struct UnknownFilesystem(pub String);

impl Filesystem {
    /// Reads `fs_type` of a CSI capability or `csi.storage.k8s.io/fstype` of a StorageClass; empty means any.
    ///
    /// # Errors
    /// If there is no such file system here.
    pub fn parse(text: &str) -> Result<Self, UnknownFilesystem> {
        match text {
            "" => Ok(Self::default()),
            "ext4" => Ok(Self::Ext4),
            "xfs" => Ok(Self::Xfs),
            other => Err(UnknownFilesystem(other.into())),
        }
    }

    /// Usable bytes that it needs at least: one, if the smallest namespace is enough.
    #[must_use]
    pub const fn minimum(self) -> Bytes {
        match self {
            Self::Ext4 => Bytes::new(1),
            Self::Xfs => XFS_MINIMUM,
        }
    }
}
