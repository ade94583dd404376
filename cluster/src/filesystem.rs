//! The file systems that volumes can have.

use std::fmt;
use std::str::FromStr;

use placement::Bytes;

/// A file system that a volume can have. Both map files directly (DAX).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Filesystem {
    /// What a claim gets that does not name one.
    #[default]
    Ext4,
    /// For volumes of 300 MiB or more.
    Xfs,
}

/// Volumes cannot have a file system of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("file system {0:?}: allowed are ext4, xfs")]
pub struct UnknownFilesystem(pub String);

impl Filesystem {
    /// Reads `fs_type` of a CSI capability or `csi.storage.k8s.io/fstype` of a `StorageClass`; empty means ext4.
    ///
    /// # Errors
    /// The name is not one of ours: name one of those in the message.
    pub fn parse(name: &str) -> Result<Self, UnknownFilesystem> {
        if name.is_empty() {
            Ok(Self::default())
        } else {
            name.parse()
        }
    }

    /// Its name, for `mount`, `blkid` and people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }

    /// Bytes of the smallest device that it can be made on.
    ///
    /// `mkfs.xfs` since 5.19 refuses less than 300 MiB (`validate_supported` in `mkfs/xfs_mkfs.c`).
    #[must_use]
    pub const fn smallest_device(self) -> Bytes {
        match self {
            Self::Ext4 => Bytes::mib(4),
            Self::Xfs => Bytes::mib(300),
        }
    }

    /// Usable bytes that a claim has to request at least: for ext4 a single one, because the smallest namespace of each
    /// mode is larger than the smallest device of ext4.
    #[must_use]
    pub const fn smallest_request(self) -> Bytes {
        match self {
            Self::Ext4 => Bytes::new(1),
            Self::Xfs => self.smallest_device(),
        }
    }
}

/// As [`Filesystem::name`] writes it: unlike in [`Filesystem::parse`], an empty text names none.
impl FromStr for Filesystem {
    type Err = UnknownFilesystem;

    fn from_str(name: &str) -> Result<Self, UnknownFilesystem> {
        match name {
            "ext4" => Ok(Self::Ext4),
            "xfs" => Ok(Self::Xfs),
            other => Err(UnknownFilesystem(other.into())),
        }
    }
}

impl fmt::Display for Filesystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use placement::{Alignment, MapLocation, Mode};

    use super::*;

    /// A request for ever so few bytes gets a namespace that its file system can be made on.
    #[test]
    fn the_smallest_request_is_large_enough() {
        let modes = [
            Mode::Fsdax(MapLocation::Dev),
            Mode::Fsdax(MapLocation::Mem),
            Mode::Sector,
        ];
        for filesystem in [Filesystem::Ext4, Filesystem::Xfs] {
            for mode in modes {
                for alignment in [Bytes::kib(4), Bytes::mib(2), Bytes::mib(16), Bytes::gib(1)] {
                    let alignment = Alignment::try_from(alignment).unwrap();
                    let raw = mode.footprint(alignment, filesystem.smallest_request(), None).unwrap();
                    assert!(
                        mode.usable(raw) >= filesystem.smallest_device(),
                        "{filesystem} in {mode:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for filesystem in [Filesystem::Ext4, Filesystem::Xfs] {
            assert_eq!(Filesystem::parse(filesystem.name()), Ok(filesystem));
        }
        assert_eq!(Filesystem::parse(""), Ok(Filesystem::Ext4));
        assert!(Filesystem::parse("btrfs").is_err());
    }
}
