//! On the way to space that is free and zero.

use crds::Phase;

use super::{Situation, Step};
use crate::devices::Namespace;
use crate::volumes::blocked::Blocked;
use crate::volumes::done::Done;

pub(super) fn decide(situation: &Situation<'_>) -> Step {
    let step = match (situation.phase(), situation.namespace()) {
        // It never had a namespace; one of its name is somebody's data.
        (None | Some(Phase::Refused), _) => Ok(Step::Release),
        (_, Err(blocked)) => Err(blocked),
        (_, Ok(None)) => situation.can_see_recorded_region().map(|()| Step::Release),
        (Some(phase), Ok(Some(namespace))) => erase(situation, phase, namespace),
    };
    step.unwrap_or_else(Step::Wait)
}

fn erase(situation: &Situation<'_>, phase: Phase, namespace: &Namespace) -> Result<Step, Blocked> {
    let place = situation.writable(namespace)?;
    Ok(match situation.done {
        _ if phase != Phase::Erasing => Step::BeginErase(place),
        Done::Zeroed(done) if *done == place => Step::Destroy,
        Done::Nothing | Done::Zeroed(_) | Done::Configured(_) => Step::Erase(place),
    })
}
