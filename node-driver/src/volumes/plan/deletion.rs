//! The steps of a deleted volume, until the device says that it is to be erased. Erasing itself needs no object: `leftover.rs`.

use crds::Phase;

use super::blocked::Blocked;
use super::observed::Observed;
use super::step::Step;
use crate::devices::Stage;

pub(super) fn next_step(observed: &Observed<'_>) -> Step {
    let step = match observed.namespace() {
        Err(blocked) => Err(blocked),
        Ok(Some((_, Stage::Making | Stage::Erasing | Stage::Quarantined))) => Ok(Step::RemoveFinalizer),
        Ok(Some((namespace, Stage::HandedOut | Stage::InUse))) => {
            let writable = observed.writable(namespace);
            writable.map(|_| Step::Mark(Stage::Erasing))
        }
        Ok(None) => without_mark(observed),
    };
    step.unwrap_or_else(Step::Wait)
}

fn without_mark(observed: &Observed<'_>) -> Result<Step, Blocked> {
    if let Some(earlier) = observed.earlier() {
        let location = observed.writable(earlier)?;
        return Ok(Step::MarkEarlier(location, Stage::Erasing));
    }
    match observed.phase() {
        None | Some(Phase::Refused) => {}
        Some(Phase::Provisioning | Phase::Ready | Phase::Erasing) => observed.shows_recorded_region()?,
    }
    Ok(Step::RemoveFinalizer)
}
