//! The steps that a volume can take.

use placement::{Bytes, Mode, Refusal, RegionId};

use super::blocked::Blocked;
use crate::devices::NewNamespace;
use crate::volumes::zero::byte_state::Location;

/// What to do next with a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing until something changes.
    Nothing,
    /// Make sure that the object stays until its bytes are zero.
    AddFinalizer,
    /// Record that it fits nowhere. Final.
    Refuse(Refusal),
    /// Record the region in which it is about to be made.
    RecordRegion(RegionId),
    /// Make the namespace.
    Create(NewNamespace),
    /// Make every byte of it zero, whoever had it before.
    Scrub(Location),
    /// Give the namespace its mode, and with it a block device.
    Configure(Location, Mode),
    /// Record that it can be used.
    RecordReady(Provisioned),
    /// Record that erasing starts.
    RecordErasing(Location),
    /// Write zeros over every byte.
    Erase(Location),
    /// Destroy the namespace, which frees its space.
    Destroy,
    /// Let the object go.
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
