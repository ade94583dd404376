//! What a granule of persistent memory holds: no bytes, but who wrote it.

use cluster::Filesystem;
use placement::Mode;

/// A namespace, for as long as the machine exists: no two have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(pub(super) u32);

/// What a granule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tag {
    /// Zeros.
    Zero,
    /// Bytes of somebody who had the memory before the machine was part of the story.
    Earlier,
    /// What the kernel writes before the bytes of a block device: it says which mode the namespace has.
    Info {
        /// Whose it is.
        of: Serial,
        /// The mode.
        mode: Mode,
    },
    /// The superblock of a file system.
    Superblock {
        /// Whose it is.
        of: Serial,
        /// Which one.
        fs: Filesystem,
        /// How often the namespace was formatted.
        generation: u32,
    },
    /// What an interrupted mkfs left.
    Garbage {
        /// Whose it is.
        of: Serial,
    },
    /// What a pod wrote.
    Data {
        /// Whose it is.
        of: Serial,
        /// What it wrote.
        token: u64,
        /// How often the namespace had been formatted: a file system that was made later does not show it.
        generation: u32,
    },
    /// What somebody keeps in a namespace of their own.
    Foreign {
        /// Whose it is.
        of: Serial,
    },
}

impl Tag {
    /// Whether these bytes may be seen by who has the namespace `serial`.
    #[must_use]
    pub fn may_be_seen_in(self, serial: Serial) -> bool {
        match self {
            Self::Zero => true,
            Self::Earlier => false,
            Self::Info { of, .. }
            | Self::Superblock { of, .. }
            | Self::Garbage { of }
            | Self::Data { of, .. }
            | Self::Foreign { of } => of == serial,
        }
    }

    /// What a pod wrote, if it did.
    #[must_use]
    pub fn token(self) -> Option<u64> {
        match self {
            Self::Data { token, .. } => Some(token),
            _ => None,
        }
    }
}
