//! The steps of a volume until it can be used, and while it is used.

use crds::{Phase, VolumeMode};
use placement::Bytes;

use super::blocked::Blocked;
use super::observed::Observed;
use super::step::{Provisioned, Step};
use crate::conditions;
use crate::devices::{Namespace, NamespaceMode, NewNamespace};
use crate::volumes::zero::byte_state::{ByteState, Location};

/// The condition that is true while the volume can be used.
pub const PROVISIONED: &str = "Provisioned";

pub(super) fn next_step(observed: &Observed<'_>) -> Step {
    let step = match (observed.phase(), observed.namespace()) {
        (Some(Phase::Refused), _) => Ok(Step::Nothing),
        (_, Err(blocked)) => Err(blocked),
        (Some(Phase::Provisioning), Ok(Some(namespace))) => finish(observed, namespace),
        (None, Ok(Some(namespace))) => adopt(observed, namespace),
        (Some(Phase::Ready | Phase::Erasing), Ok(Some(namespace))) => check(observed, namespace),
        (Some(Phase::Ready | Phase::Erasing), Ok(None)) => vanished(observed),
        (None | Some(Phase::Provisioning), Ok(None)) => begin(observed),
    };
    step.unwrap_or_else(Step::Wait)
}

/// No namespace yet: choose a region, record it, make the namespace.
fn begin(observed: &Observed<'_>) -> Result<Step, Blocked> {
    observed.shows_recorded_region()?;
    let mut free = observed.free.clone();
    let placed = match free.place(&observed.volume.spec.request()) {
        Err(refusal) => return Ok(Step::Refuse(refusal)),
        Ok(placed) => placed,
    };
    let is_recorded =
        observed.phase() == Some(Phase::Provisioning) && observed.recorded_region() == Some(&placed.region);
    Ok(if is_recorded {
        Step::Create(NewNamespace {
            name: observed.name().into(),
            region: placed.region,
            footprint: placed.extent.size,
        })
    } else {
        Step::RecordRegion(placed.region)
    })
}

/// The driver's own namespace. What this process did not zero is zeroed, even if it looks configured: what looks like it
/// may be bytes of an earlier tenant.
fn finish(observed: &Observed<'_>, namespace: &Namespace) -> Result<Step, Blocked> {
    let location = observed.writable(namespace)?;
    match observed.bytes {
        ByteState::Configured(configured) if *configured == location => ready(observed, namespace),
        ByteState::Zero(zero) if *zero == location => {
            let spec = &observed.volume.spec;
            Ok(Step::Configure(location, spec.mode.with_map(spec.map)))
        }
        ByteState::Unknown | ByteState::Zero(_) | ByteState::Configured(_) => Ok(Step::Scrub(location)),
    }
}

/// A namespace that was there before the object: if it is configured, it is the volume; else it is foreign.
fn adopt(observed: &Observed<'_>, namespace: &Namespace) -> Result<Step, Blocked> {
    if namespace.mode == NamespaceMode::Raw {
        return Err(Blocked::Foreign {
            device: namespace.device.clone(),
        });
    }
    ready(observed, namespace)
}

/// A volume that is in use: its namespace should be as recorded.
fn check(observed: &Observed<'_>, namespace: &Namespace) -> Result<Step, Blocked> {
    let step = ready(observed, namespace)?;
    Ok(match step {
        Step::RecordReady(provisioned) if is_recorded(observed, &provisioned) => Step::Nothing,
        other => other,
    })
}

fn ready(observed: &Observed<'_>, namespace: &Namespace) -> Result<Step, Blocked> {
    let spec = &observed.volume.spec;
    let usable = match (namespace.mode, namespace.usable) {
        (NamespaceMode::Raw, _) | (_, None) => {
            return Err(Blocked::NotConfigured {
                device: namespace.device.clone(),
            });
        }
        (mode, Some(usable)) if mode == namespace_mode(spec.mode) => usable,
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
    Ok(Step::RecordReady(Provisioned {
        location: Location::of(namespace),
        usable,
    }))
}

fn namespace_mode(mode: VolumeMode) -> NamespaceMode {
    match mode {
        VolumeMode::Fsdax => NamespaceMode::Fsdax,
        VolumeMode::Sector => NamespaceMode::Sector,
    }
}

fn is_recorded(observed: &Observed<'_>, provisioned: &Provisioned) -> bool {
    observed.status().is_some_and(|status| {
        status.region.as_ref() == Some(&provisioned.location.region)
            && status.footprint == Some(provisioned.location.extent)
            && status.usable == Some(provisioned.usable)
            && status.layout_revision.is_some()
            && conditions::is_true(&status.conditions, PROVISIONED)
    })
}

/// A used volume without a namespace is never made anew: its data would silently be gone.
fn vanished(observed: &Observed<'_>) -> Result<Step, Blocked> {
    observed.shows_recorded_region()?;
    Err(Blocked::Vanished {
        name: observed.name().into(),
    })
}
