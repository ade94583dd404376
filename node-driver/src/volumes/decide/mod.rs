//! What to do next with a volume. Pure: no clock, no devices, no cluster.
//!
//! After a crash at any point, the next decision follows from what the cluster and the devices hold:
//!
//! - The region is recorded before a namespace is made, so a namespace without configuration that bears the volume's name
//!   in its recorded region is the driver's own, left half done. Any other is somebody's data.
//! - Whether bytes were zeroed is known to this process only. When in doubt they are zeroed again.

mod deletion;
mod provision;
mod situation;

use crds::FINALIZER;
use placement::{Bytes, Mode, Refusal, RegionId};

use super::blocked::Blocked;
use super::done::Place;
use crate::devices::NewNamespace;

pub use situation::Situation;

/// What to do next with a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing until something changes.
    Idle,
    /// Make sure that the object stays until its bytes are zero.
    AddFinalizer,
    /// Record that it fits nowhere. Final.
    Refuse(Refusal),
    /// Record that it is being made in this region.
    Choose(RegionId),
    /// Make the namespace.
    Create(NewNamespace),
    /// Make every byte of it zero, whoever had it before.
    Scrub(Place),
    /// Make it offer its bytes.
    Configure(Place, Mode),
    /// Record that it is ready.
    Report(Provisioned),
    /// Record that erasing starts.
    BeginErase(Place),
    /// Write zeros over every byte.
    Erase(Place),
    /// Give its space back.
    Destroy,
    /// Let the object go.
    Release,
    /// Nothing can be done until somebody helps: say so, and look again later.
    Wait(Blocked),
}

/// What a volume that can be used has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provisioned {
    /// Where it is.
    pub place: Place,
    /// Usable bytes.
    pub usable: Bytes,
}

/// What to do next.
#[must_use]
pub fn decide(situation: &Situation<'_>) -> Step {
    let meta = &situation.volume.metadata;
    let held = meta.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER);
    match (meta.deletion_timestamp.is_some(), held) {
        (true, true) => deletion::decide(situation),
        (true, false) => Step::Idle,
        (false, false) => Step::AddFinalizer,
        (false, true) => provision::decide(situation),
    }
}
