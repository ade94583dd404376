//! What is on a block device that was in use.

use std::ops::Range;

use cluster::Filesystem;

/// What is on a block device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Its start is zero, and nothing is known on it.
    Blank,
    /// A file system that volumes can have.
    Filesystem(Filesystem),
    /// Anything else. The text names it for people.
    Foreign(String),
}

/// What `blkid` found on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// No signature that it knows; it prints the same for a device that it cannot read.
    Nothing,
    /// Signatures of several kinds.
    Ambiguous,
    /// One signature, of this type.
    Type(String),
}

/// Bytes at the start of a device that must be zero for it to be blank: where the superblocks of ext4 and xfs are.
pub(super) const HEAD: usize = 4096;
/// `s_journal_uuid`, and `s_journal_dev` in the superblock of ext4, which is at 1024 (Linux,
/// Documentation/filesystems/ext4/super.rst): the device that the journal is on. Zero: none but the file system's own.
/// The kernel opens it when it mounts the file system, `e2fsck` when it checks it, and both write to it.
const EXT4_JOURNAL_ELSEWHERE: [Range<usize>; 2] = [1024 + 0xD0..1024 + 0xE0, 1024 + 0xE4..1024 + 0xE8];
/// `s_mount_opts`, likewise: mount options that the kernel adds to those that it is given.
const EXT4_MOUNT_OPTIONS: Range<usize> = 1024 + 0x200..1024 + 0x240;

impl Content {
    /// What is on a device whose first bytes are `head`.
    ///
    /// A damaged superblock that `blkid` does not know counts as foreign: it may be all that is left of a file system.
    #[must_use]
    pub fn identify(probe: &Probe, head: &[u8]) -> Self {
        let blank = head.iter().all(|byte| *byte == 0);
        match probe {
            Probe::Nothing if blank => Self::Blank,
            Probe::Nothing => Self::Foreign("data that nothing identifies".into()),
            Probe::Ambiguous => Self::Foreign("signatures of several kinds".into()),
            Probe::Type(name) => match name.parse() {
                Ok(Filesystem::Ext4) if leads_elsewhere(head) => {
                    Self::Foreign("ext4 that names a journal on another device, or mount options".into())
                }
                Ok(fs) => Self::Filesystem(fs),
                Err(_) => Self::Foreign(name.clone()),
            },
        }
    }
}

/// Whether mounting that ext4 may reach another device than its own. The driver makes none like that: someone did who could write
/// to the device.
fn leads_elsewhere(head: &[u8]) -> bool {
    let mut fields = EXT4_JOURNAL_ELSEWHERE.into_iter().chain([EXT4_MOUNT_OPTIONS]);
    fields.any(|field| head.get(field).is_none_or(|bytes| bytes.iter().any(|byte| *byte != 0)))
}

/// Reads what `blkid -p -o export` wrote and the code it ended with; none if it failed (blkid(8), "EXIT STATUS").
#[must_use]
pub fn read_probe(code: Option<i32>, output: &str) -> Option<Probe> {
    let value = |key: &str| {
        let pairs = output.lines().filter_map(|line| line.split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == key);
        values.next().map(|(_, value)| value.to_owned())
    };
    match code? {
        0 => {
            let table = || value("PTTYPE").map(|name| format!("a {name} partition table"));
            let found = value("TYPE").or_else(table);
            Some(Probe::Type(
                found.unwrap_or_else(|| "a signature without a type".into()),
            ))
        }
        2 => Some(Probe::Nothing),
        8 => Some(Probe::Ambiguous),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(set: &[(usize, u8)]) -> Vec<u8> {
        let mut head = vec![0; HEAD];
        for (at, byte) in set {
            head[*at] = *byte;
        }
        head
    }

    fn found(name: &str) -> Probe {
        Probe::Type(name.into())
    }

    #[test]
    fn only_zeros_are_blank() {
        assert_eq!(
            Content::identify(&found("xfs"), &head(&[])),
            Content::Filesystem(Filesystem::Xfs)
        );
        assert_eq!(Content::identify(&Probe::Nothing, &head(&[])), Content::Blank);
        let torn = Content::identify(&Probe::Nothing, &head(&[(1080, 0x53)]));
        assert!(matches!(torn, Content::Foreign(_)));
        let ambiguous = Content::identify(&Probe::Ambiguous, &head(&[]));
        assert!(matches!(ambiguous, Content::Foreign(_)));
    }

    #[test]
    fn an_ext4_that_leads_elsewhere_is_foreign() {
        let ext4 = Content::identify(&found("ext4"), &head(&[(1080, 0x53)]));
        assert_eq!(ext4, Content::Filesystem(Filesystem::Ext4));
        for at in [
            1024 + 0xD0,
            1024 + 0xDF,
            1024 + 0xE4,
            1024 + 0xE7,
            1024 + 0x200,
            1024 + 0x23F,
        ] {
            let content = Content::identify(&found("ext4"), &head(&[(1080, 0x53), (at, 1)]));
            assert!(matches!(content, Content::Foreign(_)), "{at}");
        }
    }

    #[test]
    fn what_others_made_is_foreign() {
        for name in ["crypto_LUKS", "LVM2_member", "ext3", "swap", "a gpt partition table"] {
            let content = Content::identify(&found(name), &head(&[]));
            assert_eq!(content, Content::Foreign(name.into()));
        }
    }

    #[test]
    fn reads_blkid() {
        let ext4 = "DEVNAME=/dev/loop0\nUUID=1-2\nVERSION=1.0\nTYPE=ext4\nUSAGE=filesystem\n";
        assert_eq!(read_probe(Some(0), ext4), Some(found("ext4")));
        let gpt = "DEVNAME=/dev/loop0\nPTUUID=1\nPTTYPE=gpt\n";
        assert_eq!(read_probe(Some(0), gpt), Some(found("a gpt partition table")));
        assert!(matches!(read_probe(Some(0), ""), Some(Probe::Type(_))));
        assert_eq!(read_probe(Some(2), ""), Some(Probe::Nothing));
        assert_eq!(read_probe(Some(8), ""), Some(Probe::Ambiguous));
        assert_eq!(read_probe(Some(4), ""), None);
        assert_eq!(read_probe(None, ""), None);
    }
}
