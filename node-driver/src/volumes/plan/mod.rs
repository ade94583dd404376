//! The next step of a volume. Pure: no clock, no devices, no cluster.
//!
//! After a crash at any point, the next step follows from what the devices hold. The mark of a namespace says whose it is
//! and how far it has come; the absence of an object proves nothing.
//!
//! - Until a namespace is marked as handed out, it may be scrubbed or destroyed; after that, only DeleteVolume ends it.
//! - A deleted object is held only until the device says that the volume is to be erased.
//! - Whether bytes were zeroed is known to this process only. When in doubt they are zeroed again.

mod blocked;
mod deletion;
mod leftover;
mod observed;
mod provision;
mod step;

use crds::{DELETE_VOLUME, FINALIZER, Phase, PmemVolume};
use placement::Node;

use super::zero::byte_state::ByteState;
use crate::devices::Inventory;
use provision::place;

pub use blocked::Blocked;
pub use leftover::{LeftoverStep, next_step as next_leftover_step};
pub use observed::Observed;
use step::Plan;
pub use step::{Provisioned, Step};

/// What to do next with the volume, without its free space.
///
/// DeleteVolume marks the object and has it held before it deletes it. An object without that mark was deleted by somebody
/// else: it goes, and its namespace stays. Before there were marks, every object was held from the start.
#[must_use]
fn next_step(observed: &Observed<'_>) -> Plan {
    let volume = observed.volume;
    let is_held = volume
        .metadata
        .finalizers
        .iter()
        .flatten()
        .any(|name| name == FINALIZER);
    match (observed.is_deleted(), is_held) {
        (true, false) => Plan::Take(Step::Nothing),
        (true, true) if is_to_be_erased(volume) => Plan::Take(deletion::next_step(observed)),
        (false, true) if is_to_be_erased(volume) => Plan::Take(Step::Nothing),
        (true | false, true) => Plan::Take(Step::RemoveFinalizer),
        (false, false) => provision::next_step(observed),
    }
}

/// What to do next with a volume that finds this free space.
pub fn step_in(observed: &Observed<'_>, free: impl FnOnce() -> Node) -> Step {
    match next_step(observed) {
        Plan::Take(step) => step,
        Plan::Place => place(observed, free()),
    }
}

/// Whether a volume is about to choose its region, or to be refused, whatever its free space is.
pub fn is_to_be_placed(observed: &Observed<'_>) -> bool {
    match next_step(observed) {
        Plan::Take(step) => matches!(step, Step::RecordRegion(_)),
        Plan::Place => observed.has_no_region(),
    }
}

/// Whether a volume that finds this free space is about to choose its region. What is known of its bytes matters only after that.
#[must_use]
pub fn is_choosing(volume: &PmemVolume, inventory: &Inventory, free: &Node) -> bool {
    let observed = Observed {
        volume,
        inventory,
        bytes: &ByteState::Unknown,
    };
    matches!(step_in(&observed, || free.clone()), Step::RecordRegion(_))
}

/// Whether DeleteVolume was called for it. Before there were marks, the phase says so once erasing began.
fn is_to_be_erased(volume: &PmemVolume) -> bool {
    let is_marked = volume
        .metadata
        .annotations
        .iter()
        .flatten()
        .any(|(key, _)| key == DELETE_VOLUME);
    let phase = volume.status.as_ref().and_then(|status| status.phase);
    is_marked || phase == Some(Phase::Erasing)
}
