//! The steps of a deleted volume, until the device says that it is to be erased. Erasing itself needs no object: `leftover.rs`.

use crds::{DELETE_VOLUME, UNUSED};

use super::blocked::Blocked;
use super::observed::Observed;
use super::step::Step;
use crate::devices::Stage;

pub(super) fn next_step(observed: &Observed<'_>) -> Step {
    let step = match observed.namespace() {
        Err(blocked) => Err(blocked),
        // A power loss would bring the volume back, and nobody would delete it then.
        Ok(Some((namespace, Stage::Erasing))) if !namespace.is_recorded => {
            let writable = observed.writable(namespace);
            writable.map(|_| Step::Mark(Stage::Erasing))
        }
        Ok(Some((_, Stage::Making | Stage::Erasing | Stage::Quarantined))) => Ok(Step::RemoveFinalizer),
        Ok(Some((_, Stage::InUse))) if is_taken_for_unused(observed) => Ok(Step::RemoveFinalizer),
        Ok(Some((namespace, Stage::HandedOut | Stage::InUse))) => {
            let writable = observed.writable(namespace);
            writable.map(|_| Step::Mark(Stage::Erasing))
        }
        Ok(None) => without_mark(observed),
    };
    step.unwrap_or_else(Step::Wait)
}

/// Whether it was deleted only because the cluster shows nobody who uses it. The cluster may be one of yesterday.
fn is_taken_for_unused(observed: &Observed<'_>) -> bool {
    let annotations = observed.volume.metadata.annotations.as_ref();
    annotations.is_some_and(|annotations| annotations.get(DELETE_VOLUME).is_some_and(|reason| reason == UNUSED))
}

/// Without a mark, nobody can tell whether it was used.
fn without_mark(observed: &Observed<'_>) -> Result<Step, Blocked> {
    if let Some(first) = observed.quarantine_first()? {
        return Ok(first);
    }
    if let Some(earlier) = observed.earlier() {
        if is_taken_for_unused(observed) {
            return Ok(Step::RemoveFinalizer);
        }
        let location = observed.writable(earlier)?;
        return Ok(Step::MarkEarlier(location, Stage::Erasing));
    }
    // Whatever the phase says: somebody may have written it over. What was refused has no region.
    observed.shows_its_region()?;
    observed.has_no_unseen()?;
    Ok(Step::RemoveFinalizer)
}
