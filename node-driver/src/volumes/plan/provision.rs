//! The steps of a volume until it can be used, and while it is used.

use cluster::VolumeSpace;
use crds::{PROVISIONED, Phase, VolumeMode};
use placement::{Bytes, Node};

use super::blocked::Blocked;
use super::observed::Observed;
use super::step::{Plan, Provisioned, Step};
use crate::conditions;
use crate::devices::{Namespace, NamespaceMode, NewNamespace, Stage};
use crate::volumes::zero::byte_state::{ByteState, Location};

pub(super) fn next_step(observed: &Observed<'_>) -> Plan {
    let step = match (observed.phase(), observed.namespace()) {
        (_, Err(blocked)) => Err(blocked),
        // Whatever its status says: somebody may have written that by hand.
        (_, Ok(Some((namespace, stage)))) => existing(observed, namespace, stage),
        (_, Ok(None)) if observed.volume.had_namespace() => without_mark(observed),
        (Some(Phase::Refused), Ok(None)) => Ok(Step::Nothing),
        (None | Some(Phase::Provisioning | Phase::Ready | Phase::Erasing), Ok(None)) => {
            return begin(observed).unwrap_or_else(|blocked| Plan::Take(Step::Wait(blocked)));
        }
    };
    Plan::Take(step.unwrap_or_else(Step::Wait))
}

fn existing(observed: &Observed<'_>, namespace: &Namespace, stage: Stage) -> Result<Step, Blocked> {
    match stage {
        Stage::Making => finish(observed, namespace),
        // Only a label that is on its modules is still there after a reboot.
        Stage::HandedOut | Stage::InUse if !namespace.is_recorded => Ok(Step::Mark(stage)),
        Stage::HandedOut | Stage::InUse => check(observed, namespace),
        Stage::Erasing | Stage::Quarantined => Err(Blocked::StillErasing),
    }
}

/// No namespace yet: choose a region, record it, make the namespace. Not while another may come back as this volume.
fn begin(observed: &Observed<'_>) -> Result<Plan, Blocked> {
    if let Some(first) = observed.quarantine_first()? {
        return Ok(Plan::Take(first));
    }
    observed.shows_recorded_region()?;
    observed.has_no_unseen()?;
    Ok(Plan::Place)
}

/// The step of a volume that can be made, in the ready regions without the space of volumes that come before it. The region that is
/// recorded stays the one, even if another would do better by now: the space in that was promised to others.
pub(super) fn place(observed: &Observed<'_>, mut free: Node) -> Step {
    match free.make(VolumeSpace::from(observed.volume).pending()) {
        Err(refusal) => Step::Refuse(refusal),
        Ok(placed) if observed.is_made_in(&placed.region) => Step::Create(NewNamespace {
            volume: observed.name().into(),
            region: placed.region,
            footprint: placed.extent.size,
        }),
        Ok(placed) => Step::RecordRegion(placed.region),
    }
}

/// It was never handed out. What this process did not zero is zeroed, even if it looks configured: what looks like it may be
/// bytes of an earlier tenant.
fn finish(observed: &Observed<'_>, namespace: &Namespace) -> Result<Step, Blocked> {
    if let Some(first) = observed.quarantine_first()? {
        return Ok(first);
    }
    let location = observed.writable(namespace)?;
    if !has_its_size(observed, namespace) {
        return Ok(Step::Destroy);
    }
    if !observed.is_made_in(&namespace.region) {
        return Ok(Step::RecordRegion(namespace.region.clone()));
    }
    Ok(match observed.bytes {
        ByteState::Configured(configured) if *configured == location => Step::Mark(Stage::HandedOut),
        ByteState::Zero(zero) if *zero == location => {
            let spec = &observed.volume.spec;
            Step::Configure(location, spec.mode.with_map(spec.map))
        }
        // It stays out of use, and the volume is made elsewhere.
        ByteState::Bad(bad) if *bad == location => Step::Mark(Stage::Quarantined),
        ByteState::Unknown | ByteState::Zero(_) | ByteState::Bad(_) | ByteState::Configured(_) => Step::Scrub(location),
    })
}

/// An object that was made anew under the same name may ask for something else.
fn has_its_size(observed: &Observed<'_>, namespace: &Namespace) -> bool {
    let spec = &observed.volume.spec;
    let usable = spec.mode.with_map(spec.map).usable(namespace.extent.size);
    usable >= spec.required && usable <= spec.limit.unwrap_or(Bytes::MAX)
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
        (NamespaceMode::Raw, _) | (NamespaceMode::Fsdax | NamespaceMode::Sector, None) => {
            return Err(Blocked::NotConfigured {
                device: namespace.device.clone(),
            });
        }
        (mode, Some(usable)) if mode == namespace_mode(spec.mode) => usable,
        (mode, _) => {
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
        status.phase == Some(Phase::Ready)
            && status.region.as_ref() == Some(&provisioned.location.region)
            && status.footprint == Some(provisioned.location.extent)
            && status.usable == Some(provisioned.usable)
            && status.layout_revision.is_some()
            && conditions::is_true(&status.conditions, PROVISIONED)
    })
}

/// A volume without a marked namespace was made before there were marks, or it is away, or its data is gone. It is never made
/// anew.
fn without_mark(observed: &Observed<'_>) -> Result<Step, Blocked> {
    if let Some(earlier) = observed.earlier() {
        return Ok(Step::MarkEarlier(Location::of(earlier), Stage::InUse));
    }
    observed.shows_its_region()?;
    Err(Blocked::Vanished {
        name: observed.name().into(),
    })
}
