//! A volume, as far as it was confirmed.

use cluster::Filesystem;
use placement::{Bytes, Extent, Mode, NumaWish, RegionId, VolumeRequest};

use super::content::Piece;
use super::kind::Kind;

/// A volume, as far as it was confirmed.
#[derive(Clone, Debug)]
pub(super) struct Volume {
    /// Its id.
    pub(super) name: String,
    /// What it was asked to be.
    pub(super) kind: Kind,
    /// The bytes that were asked for.
    pub(super) required: Bytes,
    /// Where it was to be.
    pub(super) numa: NumaWish,
    /// Where it is; none until it was made.
    pub(super) place: Option<Place>,
    /// How far it has come.
    pub(super) state: State,
    /// What was written to it and confirmed.
    pub(super) pieces: Vec<Piece>,
}

/// Where a volume is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its region.
    pub(super) region: RegionId,
    /// Its raw bytes there.
    pub(super) extent: Extent,
    /// The bytes of its device.
    pub(super) usable: Bytes,
}

/// How far a volume has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody had it yet.
    HandedOut,
    /// It was used, and is not mounted.
    Idle,
    /// Somebody uses it now.
    Staged,
}

impl Volume {
    /// What stands for a volume where free bytes are worked on.
    pub(super) fn of_nobody() -> Self {
        Self {
            name: String::new(),
            kind: Kind {
                mode: Mode::Sector,
                fs: Some(Filesystem::Ext4),
            },
            required: Bytes::mib(64),
            numa: NumaWish::Any,
            place: None,
            state: State::HandedOut,
            pieces: Vec::new(),
        }
    }

    /// What placement is asked for it.
    pub(super) fn request(&self) -> VolumeRequest {
        VolumeRequest {
            required: self.required,
            limit: None,
            mode: self.kind.mode,
            numa: self.numa,
        }
    }

    /// Where it is mounted in the machine.
    pub(super) fn directory(&self) -> String {
        format!("/tmp/{}", self.name)
    }

    /// Whether its content can be read as it is now.
    pub(super) fn is_readable(&self) -> bool {
        match self.state {
            State::HandedOut => false,
            State::Idle => self.kind.is_block(),
            State::Staged => true,
        }
    }

    /// Its bytes in files that were confirmed.
    pub(super) fn written(&self) -> Bytes {
        self.pieces.iter().map(|piece| piece.size).sum()
    }

    /// How many of its bytes may be written: a file system needs some for itself.
    pub(super) fn room(&self) -> Bytes {
        let usable = self.place.as_ref().map_or(Bytes::ZERO, |place| place.usable);
        match self.kind.fs {
            None => usable,
            Some(_) => Bytes::mib(1)
                .times(usable.divided_by(Bytes::mib(2)))
                .minus(self.written()),
        }
    }
}
