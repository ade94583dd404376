//! What a volume is asked to be.

use cluster::Filesystem;
use fastrand::Rng;
use placement::{Bytes, MapLocation, Mode};

/// What a volume is, and what it is used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// How its namespace presents its bytes.
    pub(super) mode: Mode,
    /// Its file system; without one, it is a block volume.
    pub(super) fs: Option<Filesystem>,
}

/// The bytes of a volume that is not so large for its file system's sake, in pages.
const PAGES: std::ops::Range<u32> = (12 << 8)..(48 << 8);
/// The same, beyond the smallest device of an xfs.
const MORE_PAGES_OF_XFS: std::ops::Range<u32> = 0..(16 << 8);

impl Kind {
    /// Any kind. xfs is rare: such a volume takes most of a region, and minutes of everybody's time.
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let mode = match rng.u8(..4) {
            0 => Mode::Sector,
            1 => Mode::Fsdax(MapLocation::Mem),
            _ => Mode::Fsdax(MapLocation::Dev),
        };
        let fs = match rng.u8(..12) {
            0 => Some(Filesystem::Xfs),
            1..5 => None,
            _ => Some(Filesystem::Ext4),
        };
        Self { mode, fs }
    }

    /// A size that its file system can have.
    pub(super) fn draw_size(self, rng: &mut Rng) -> Bytes {
        let page = Bytes::kib(4);
        match self.fs {
            Some(Filesystem::Xfs) => {
                let smallest = Filesystem::Xfs.smallest_device();
                smallest.plus(page.times(rng.u32(MORE_PAGES_OF_XFS).into()))
            }
            Some(Filesystem::Ext4) | None => page.times(rng.u32(PAGES).into()),
        }
    }

    /// What `standalone-volume create` takes for it.
    pub(super) fn flags(self) -> &'static str {
        match self.mode {
            Mode::Sector => "--sector",
            Mode::Fsdax(MapLocation::Mem) => "--map-mem",
            Mode::Fsdax(MapLocation::Dev) => "",
        }
    }

    /// What a listing says of its mode.
    pub(super) fn listed(self) -> &'static str {
        match self.mode {
            Mode::Sector => "sector",
            Mode::Fsdax(_) => "fsdax",
        }
    }

    /// Whether it is used without a file system.
    pub(super) fn is_block(self) -> bool {
        self.fs.is_none()
    }

    /// As a person reads it.
    pub(super) fn described(self) -> String {
        let mode = match self.mode {
            Mode::Sector => "sector",
            Mode::Fsdax(MapLocation::Mem) => "fsdax with its map in RAM",
            Mode::Fsdax(MapLocation::Dev) => "fsdax",
        };
        format!("{mode}, {}", self.fs.map_or("block", Filesystem::name))
    }
}
