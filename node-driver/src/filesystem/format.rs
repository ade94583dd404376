//! Whether and how to make a file system.

use cluster::Filesystem;
use placement::Bytes;

use super::content::Content;

/// What to do to a device before it can be mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preparation {
    /// Make this file system.
    Format(Filesystem),
    /// Use the one that is there.
    Use(Filesystem),
}

/// Why a device cannot be mounted as wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// It has data that the driver did not make.
    #[error(
        "the device holds {found}, no file system of this volume: it is never overwritten. Save what is there, then clear \
         the device with wipefs and by writing zeros to its first 4 KiB, or delete the claim"
    )]
    Foreign {
        /// What is on it.
        found: String,
    },
    /// It has another file system than asked for.
    #[error("the volume holds {found} but {wanted} was asked for: it is never overwritten; use fsType {found}")]
    Other {
        /// The file system that is there.
        found: Filesystem,
        /// The file system that was asked for.
        wanted: Filesystem,
    },
    /// It is too small for that file system.
    #[error(
        "{wanted} needs a volume of at least {smallest}, this one has {usable}: claim more, or use a StorageClass with \
         csi.storage.k8s.io/fstype: ext4"
    )]
    TooSmall {
        /// The file system that was asked for.
        wanted: Filesystem,
        /// The smallest device that it can be made on.
        smallest: Bytes,
        /// The bytes that the volume has.
        usable: Bytes,
    },
}

/// What to do to a device with this content so that it has the wanted file system, or any if none is wanted.
///
/// # Errors
/// The content must not be overwritten, or the device is too small.
pub fn prepare(content: &Content, wanted: Option<Filesystem>, usable: Bytes) -> Result<Preparation, PrepareError> {
    match (content, wanted) {
        (Content::Foreign(found), _) => Err(PrepareError::Foreign { found: found.clone() }),
        (Content::Filesystem(found), Some(wanted)) if *found != wanted => {
            Err(PrepareError::Other { found: *found, wanted })
        }
        (Content::Filesystem(found), _) => Ok(Preparation::Use(*found)),
        (Content::Blank | Content::Unfinished, wanted) => {
            large_enough(wanted.unwrap_or_default(), usable).map(Preparation::Format)
        }
    }
}

fn large_enough(wanted: Filesystem, usable: Bytes) -> Result<Filesystem, PrepareError> {
    let smallest = wanted.smallest_device();
    if usable < smallest {
        return Err(PrepareError::TooSmall {
            wanted,
            smallest,
            usable,
        });
    }
    Ok(wanted)
}

/// From this size on, xfs gets allocation groups that are large enough for a log and 2 MiB stripes.
///
/// Below 600 MiB `mkfs.xfs -d su=2m,sw=1` fails with "Log size must be at least 64MB" (measured, 6.1).
const XFS_STRIPED: Bytes = Bytes::gib(1);

/// The arguments for `mkfs` of that file system, without the device. The device must be blank, or `force` be set to
/// overwrite what an interrupted `mkfs` left.
///
/// Both lay files out in units of 2 MiB, so that DAX can map them with huge pages, and send no discard: pmem has none, and
/// the space is zero already.
///
/// ext4: 4 KiB blocks because DAX needs blocks of the size of a page, and `mkfs.ext4` picks 1 KiB below 512 MiB; nothing
/// reserved for root; inode tables and journal written now, not by a kernel thread that competes with the first pod.
/// xfs: no reflink, because older kernels refuse DAX with it.
#[must_use]
pub fn mkfs_arguments(fs: Filesystem, usable: Bytes, force: bool) -> Vec<&'static str> {
    let mut arguments = match fs {
        Filesystem::Ext4 => vec![
            "-q",
            "-b",
            "4096",
            "-m",
            "0",
            "-E",
            "nodiscard,lazy_itable_init=0,lazy_journal_init=0,stride=512,stripe_width=512",
        ],
        Filesystem::Xfs if usable < XFS_STRIPED => {
            vec!["-q", "-K", "-b", "size=4096", "-m", "reflink=0", "-d", "noalign"]
        }
        Filesystem::Xfs => vec![
            "-q",
            "-K",
            "-b",
            "size=4096",
            "-m",
            "reflink=0",
            "-d",
            "su=2m,sw=1",
            "-l",
            "su=32k",
        ],
    };
    if force {
        arguments.push(match fs {
            Filesystem::Ext4 => "-F",
            Filesystem::Xfs => "-f",
        });
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use Filesystem::{Ext4, Xfs};

    #[test]
    fn formats_only_what_is_blank_or_half_made() {
        let large = Bytes::gib(1);
        for content in [Content::Blank, Content::Unfinished] {
            assert_eq!(prepare(&content, None, large), Ok(Preparation::Format(Ext4)));
            assert_eq!(prepare(&content, Some(Xfs), large), Ok(Preparation::Format(Xfs)));
        }
        let xfs = Content::Filesystem(Xfs);
        assert_eq!(prepare(&xfs, None, large), Ok(Preparation::Use(Xfs)));
        assert_eq!(prepare(&xfs, Some(Xfs), large), Ok(Preparation::Use(Xfs)));
        let other = prepare(&xfs, Some(Ext4), large).unwrap_err();
        assert!(other.to_string().contains("holds xfs but ext4"), "{other}");
        let foreign = prepare(&Content::Foreign("swap".into()), None, large).unwrap_err();
        assert!(foreign.to_string().contains("holds swap"), "{foreign}");
    }

    #[test]
    fn xfs_says_how_much_it_needs() {
        let almost = Bytes::mib(300).minus(Bytes::new(1));
        let refused = prepare(&Content::Blank, Some(Xfs), almost).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "xfs needs a volume of at least 300 MiB, this one has 314572799 B: claim more, or use a StorageClass with \
             csi.storage.k8s.io/fstype: ext4"
        );
        assert!(prepare(&Content::Blank, Some(Xfs), Bytes::mib(300)).is_ok());
        assert!(prepare(&Content::Blank, Some(Ext4), Bytes::mib(14)).is_ok());
    }

    #[test]
    fn blocks_are_pages() {
        let ext4 = mkfs_arguments(Ext4, Bytes::mib(14), false).join(" ");
        assert!(ext4.contains("-b 4096"), "{ext4}");
        for usable in [Bytes::mib(300), Bytes::gib(2)] {
            let xfs = mkfs_arguments(Xfs, usable, false).join(" ");
            assert!(xfs.contains("-b size=4096 -m reflink=0"), "{xfs}");
        }
    }

    #[test]
    fn force_is_for_what_is_half_made() {
        for fs in [Ext4, Xfs] {
            let gently = mkfs_arguments(fs, Bytes::gib(1), false);
            assert!(!gently.iter().any(|a| a.eq_ignore_ascii_case("-f")));
            let forced = mkfs_arguments(fs, Bytes::gib(1), true);
            assert!(forced.iter().any(|a| a.eq_ignore_ascii_case("-f")));
        }
    }
}
