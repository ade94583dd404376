//! The next step of a volume. Pure: no clock, no devices, no cluster.
//!
//! After a crash at any point, the next step follows from what the cluster and the devices hold:
//!
//! - The region is recorded before a namespace is made. So a raw namespace with the volume's name in its recorded region is
//!   the driver's own, left half made. Any other is foreign.
//! - Whether bytes were zeroed is known to this process only. When in doubt they are zeroed again.

mod blocked;
mod deletion;
mod observed;
mod provision;
mod step;

use crds::FINALIZER;

pub use blocked::Blocked;
pub use observed::Observed;
pub use provision::PROVISIONED;
pub use step::{Provisioned, Step};

/// What to do next with the volume. Without our finalizer, a deleted object may vanish at any moment, so nothing is done for it.
#[must_use]
pub fn next_step(observed: &Observed<'_>) -> Step {
    let meta = &observed.volume.metadata;
    let has_finalizer = meta.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER);
    match (meta.deletion_timestamp.is_some(), has_finalizer) {
        (true, true) => deletion::next_step(observed),
        (true, false) => Step::Nothing,
        (false, false) => Step::AddFinalizer,
        (false, true) => provision::next_step(observed),
    }
}
