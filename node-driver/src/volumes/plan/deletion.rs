//! The steps of a deleted volume, until its space is zero and free.

use crds::Phase;

use super::blocked::Blocked;
use super::observed::Observed;
use super::step::Step;
use crate::devices::Namespace;
use crate::volumes::zero::byte_state::ByteState;

pub(super) fn next_step(observed: &Observed<'_>) -> Step {
    let step = match (observed.phase(), observed.namespace()) {
        // It never had a namespace; one with its name is foreign.
        (None | Some(Phase::Refused), _) => Ok(Step::RemoveFinalizer),
        (_, Err(blocked)) => Err(blocked),
        (_, Ok(None)) => observed.shows_recorded_region().map(|()| Step::RemoveFinalizer),
        (Some(phase), Ok(Some(namespace))) => erase(observed, phase, namespace),
    };
    step.unwrap_or_else(Step::Wait)
}

fn erase(observed: &Observed<'_>, phase: Phase, namespace: &Namespace) -> Result<Step, Blocked> {
    let location = observed.writable(namespace)?;
    Ok(match observed.bytes {
        _ if phase != Phase::Erasing => Step::RecordErasing(location),
        ByteState::Zero(zero) if *zero == location => Step::Destroy,
        ByteState::Unknown | ByteState::Zero(_) | ByteState::Configured(_) => Step::Erase(location),
    })
}
