//! The steps that a volume can take.

use placement::{Bytes, Mode, Refusal, RegionId};

use super::blocked::Blocked;
use crate::devices::{NewNamespace, Stage};
use crate::volumes::zero::byte_state::Location;

/// What to do next with a volume, as far as that is known without the free space: to find that out takes long for a volume that
/// many others come before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// This.
    Take(Step),
    /// It has no namespace yet, and nothing speaks against making one somewhere.
    Place,
}

/// What to do next with a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing until something changes.
    Nothing,
    /// Record that it fits nowhere. Final.
    Refuse(Refusal),
    /// Record the region in which it is about to be made.
    RecordRegion(RegionId),
    /// Make the namespace, with the mark that says so.
    Create(NewNamespace),
    /// Make every byte of it zero, whoever had it before.
    Scrub(Location),
    /// Give the namespace its mode, and with it a block device.
    Configure(Location, Mode),
    /// Change its mark on the device.
    Mark(Stage),
    /// Mark the namespace at this place, which was made before there were marks.
    MarkEarlier(Location, Stage),
    /// Record that it can be used.
    RecordReady(Provisioned),
    /// Destroy a namespace that was never handed out, and that does not fit the volume.
    Destroy,
    /// Let the object go, or have it no longer held.
    RemoveFinalizer,
    /// Nothing can be done until a person helps: record why, and plan again later.
    Wait(Blocked),
}

/// The namespace of a volume that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provisioned {
    pub location: Location,
    /// Size of its block device.
    pub usable: Bytes,
}
