//! On the way to a volume that can be used, and while it is used.

use crds::{Phase, VolumeMode};
use placement::Bytes;

use super::{Provisioned, Situation, Step};
use crate::conditions;
use crate::devices::{FoundMode, Namespace, NewNamespace};
use crate::volumes::blocked::Blocked;
use crate::volumes::done::{Done, Place};
use crate::volumes::says::PROVISIONED;

pub(super) fn decide(situation: &Situation<'_>) -> Step {
    let step = match (situation.phase(), situation.namespace()) {
        (Some(Phase::Refused), _) => Ok(Step::Idle),
        (_, Err(blocked)) => Err(blocked),
        (Some(Phase::Provisioning), Ok(Some(namespace))) => finish(situation, namespace),
        (None, Ok(Some(namespace))) => adopt(situation, namespace),
        (Some(Phase::Ready | Phase::Erasing), Ok(Some(namespace))) => keep(situation, namespace),
        (Some(Phase::Ready | Phase::Erasing), Ok(None)) => vanished(situation),
        (None | Some(Phase::Provisioning), Ok(None)) => begin(situation),
    };
    step.unwrap_or_else(Step::Wait)
}

/// No namespace yet: choose a region, record it, make the namespace.
fn begin(situation: &Situation<'_>) -> Result<Step, Blocked> {
    situation.can_see_recorded_region()?;
    let mut free = situation.free.clone();
    let placed = match free.place(&situation.volume.spec.request()) {
        Err(refusal) => return Ok(Step::Refuse(refusal)),
        Ok(placed) => placed,
    };
    let is_recorded =
        situation.phase() == Some(Phase::Provisioning) && situation.recorded_region() == Some(&placed.region);
    Ok(if is_recorded {
        Step::Create(NewNamespace {
            name: situation.name().into(),
            region: placed.region,
            footprint: placed.extent.size,
        })
    } else {
        Step::Choose(placed.region)
    })
}

/// The driver's own namespace. What was not zeroed by this process is zeroed, even if it looks configured: what looks
/// like it may be bytes of an earlier tenant.
fn finish(situation: &Situation<'_>, namespace: &Namespace) -> Result<Step, Blocked> {
    let place = situation.writable(namespace)?;
    match situation.done {
        Done::Configured(done) if *done == place => in_use(situation, namespace),
        Done::Zeroed(done) if *done == place => {
            let spec = &situation.volume.spec;
            Ok(Step::Configure(place, spec.mode.with_map(spec.map)))
        }
        Done::Nothing | Done::Zeroed(_) | Done::Configured(_) => Ok(Step::Scrub(place)),
    }
}

/// A namespace that was there before the object: complete, it is the volume; anything else is somebody's data.
fn adopt(situation: &Situation<'_>, namespace: &Namespace) -> Result<Step, Blocked> {
    if namespace.mode == FoundMode::Raw {
        return Err(Blocked::Foreign {
            device: namespace.device.clone(),
        });
    }
    in_use(situation, namespace)
}

fn keep(situation: &Situation<'_>, namespace: &Namespace) -> Result<Step, Blocked> {
    let step = in_use(situation, namespace)?;
    Ok(match step {
        Step::Report(provisioned) if is_reported(situation, &provisioned) => Step::Idle,
        other => other,
    })
}

fn in_use(situation: &Situation<'_>, namespace: &Namespace) -> Result<Step, Blocked> {
    let spec = &situation.volume.spec;
    let usable = match (namespace.mode, namespace.usable) {
        (FoundMode::Raw, _) | (_, None) => {
            return Err(Blocked::NotConfigured {
                device: namespace.device.clone(),
            });
        }
        (mode, Some(usable)) if mode == found(spec.mode) => usable,
        (mode, Some(_)) => {
            return Err(Blocked::WrongMode {
                device: namespace.device.clone(),
                found: mode,
                asked: spec.mode,
            });
        }
    };
    if usable < spec.required || usable > spec.limit.unwrap_or(Bytes::MAX) {
        return Err(Blocked::WrongSize {
            device: namespace.device.clone(),
            usable,
            required: spec.required,
            limit: spec.limit,
        });
    }
    Ok(Step::Report(Provisioned {
        place: Place::of(namespace),
        usable,
    }))
}

fn found(mode: VolumeMode) -> FoundMode {
    match mode {
        VolumeMode::Fsdax => FoundMode::Fsdax,
        VolumeMode::Sector => FoundMode::Sector,
    }
}

fn is_reported(situation: &Situation<'_>, provisioned: &Provisioned) -> bool {
    situation.status().is_some_and(|status| {
        status.region.as_ref() == Some(&provisioned.place.region)
            && status.footprint == Some(provisioned.place.extent)
            && status.usable == Some(provisioned.usable)
            && status.layout_revision.is_some()
            && conditions::holds(&status.conditions, PROVISIONED)
    })
}

/// A used volume without namespace is never made anew: its data would silently be gone.
fn vanished(situation: &Situation<'_>) -> Result<Step, Blocked> {
    situation.can_see_recorded_region()?;
    Err(Blocked::Vanished {
        name: situation.name().into(),
    })
}
