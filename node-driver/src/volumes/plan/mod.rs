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

pub use blocked::Blocked;
pub use leftover::{LeftoverStep, next_step as next_leftover_step};
pub use observed::Observed;
pub use provision::PROVISIONED;
pub use step::{Provisioned, Step};

/// What to do next with the volume.
///
/// DeleteVolume marks the object and has it held before it deletes it. An object without that mark was deleted by somebody
/// else: it goes, and its namespace stays. Before there were marks, every object was held from the start.
#[must_use]
pub fn next_step(observed: &Observed<'_>) -> Step {
    let volume = observed.volume;
    let is_held = volume
        .metadata
        .finalizers
        .iter()
        .flatten()
        .any(|name| name == FINALIZER);
    match (observed.is_deleted(), is_held) {
        (true, false) => Step::Nothing,
        (true, true) if is_to_be_erased(volume) => deletion::next_step(observed),
        (false, true) if is_to_be_erased(volume) => Step::Nothing,
        (true | false, true) => Step::RemoveFinalizer,
        (false, false) => provision::next_step(observed),
    }
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
