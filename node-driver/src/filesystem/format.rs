//! Whether and how to make a file system.

use cluster::Filesystem;
use placement::Bytes;

use super::content::Content;

/// Why a device cannot be formatted or mounted as wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// Its start reads as zeros.
    #[error(
        "the start of the device reads as zeros, but the volume was in use: it is never formatted again. What is left of a file \
         system may be found on the node by `xfs_repair`, or by `e2fsck -b 32768` if the volume has 128 MiB or more; to give up the data, delete the claim"
    )]
    Blank,
    /// It has data that the driver did not make.
    #[error(
        "the device holds {found}, no file system of this volume: it is never overwritten. Save what is there; to give it up, \
         delete the claim"
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

/// The file system on a device with this content, which has to be the wanted one if one is wanted.
///
/// # Errors
/// It is another, or none.
pub fn filesystem_of(content: &Content, wanted: Option<Filesystem>) -> Result<Filesystem, ContentError> {
    match (content, wanted) {
        (Content::Blank, _) => Err(ContentError::Blank),
        (Content::Foreign(found), _) => Err(ContentError::Foreign { found: found.clone() }),
        (Content::Filesystem(found), Some(wanted)) if *found != wanted => {
            Err(ContentError::Other { found: *found, wanted })
        }
        (Content::Filesystem(found), _) => Ok(*found),
    }
}

/// The file system, if a device of that size is large enough for it.
///
/// # Errors
/// It is not.
pub fn large_enough(wanted: Filesystem, usable: Bytes) -> Result<Filesystem, ContentError> {
    let smallest = wanted.smallest_device();
    if usable < smallest {
        return Err(ContentError::TooSmall {
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

/// The arguments for `mkfs` of that file system, without the device. It overwrites what an interrupted `mkfs` left, so the
/// device must never have been handed to anybody.
///
/// Both lay files out in units of 2 MiB, so that DAX can map them with huge pages, and send no discard: pmem has none, and
/// the space is zero already.
///
/// ext4: 4 KiB blocks because DAX needs blocks of the size of a page, and `mkfs.ext4` picks 1 KiB below 512 MiB; nothing
/// reserved for root; inode tables and journal written now, not by a kernel thread that competes with the first pod.
/// xfs: no reflink, because older kernels refuse DAX with it.
#[must_use]
pub fn mkfs_arguments(fs: Filesystem, usable: Bytes) -> Vec<&'static str> {
    match fs {
        Filesystem::Ext4 => vec![
            "-q",
            "-F",
            "-b",
            "4096",
            "-m",
            "0",
            "-E",
            "nodiscard,lazy_itable_init=0,lazy_journal_init=0,stride=512,stripe_width=512",
        ],
        Filesystem::Xfs if usable < XFS_STRIPED => {
            vec!["-q", "-f", "-K", "-b", "size=4096", "-m", "reflink=0", "-d", "noalign"]
        }
        Filesystem::Xfs => vec![
            "-q",
            "-f",
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Filesystem::{Ext4, Xfs};

    #[test]
    fn only_a_file_system_of_the_volume_is_used() {
        let xfs = Content::Filesystem(Xfs);
        assert_eq!(filesystem_of(&xfs, None), Ok(Xfs));
        assert_eq!(filesystem_of(&xfs, Some(Xfs)), Ok(Xfs));
        assert_eq!(filesystem_of(&Content::Blank, Some(Xfs)), Err(ContentError::Blank));
        let other = filesystem_of(&xfs, Some(Ext4)).unwrap_err();
        assert!(other.to_string().contains("holds xfs but ext4"), "{other}");
        let foreign = filesystem_of(&Content::Foreign("swap".into()), None).unwrap_err();
        assert!(foreign.to_string().contains("holds swap"), "{foreign}");
    }

    #[test]
    fn xfs_says_how_much_it_needs() {
        let almost = Bytes::mib(300).minus(Bytes::new(1));
        let refused = large_enough(Xfs, almost).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "xfs needs a volume of at least 300 MiB, this one has 314572799 B: claim more, or use a StorageClass with \
             csi.storage.k8s.io/fstype: ext4"
        );
        assert_eq!(large_enough(Xfs, Bytes::mib(300)), Ok(Xfs));
        assert_eq!(large_enough(Ext4, Bytes::mib(14)), Ok(Ext4));
    }

    #[test]
    fn blocks_are_pages() {
        let ext4 = mkfs_arguments(Ext4, Bytes::mib(14)).join(" ");
        assert!(ext4.contains("-b 4096"), "{ext4}");
        for usable in [Bytes::mib(300), Bytes::gib(2)] {
            let xfs = mkfs_arguments(Xfs, usable).join(" ");
            assert!(xfs.contains("-b size=4096 -m reflink=0"), "{xfs}");
        }
    }
}
