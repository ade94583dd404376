//! The statuses of a volume, as they are written.

use crds::{PROVISIONED, Phase, PmemVolume, PmemVolumeStatus};
use jiff::Timestamp;
use placement::{Refusal, RegionId};

use super::plan::{Blocked, Provisioned, Step};
use crate::conditions::{NewCondition, set};

/// The condition that is false while a deleted volume cannot be marked as to be erased. It is never true: the object goes
/// first.
const ERASED: &str = "Erased";

/// The status that `volume` has after `step`, or none if the step does not change it. `revision` is the layout revision of
/// the listing that the step was planned on.
#[must_use]
pub fn after(step: &Step, volume: &PmemVolume, revision: i64, now: Timestamp) -> Option<PmemVolumeStatus> {
    let before = volume.status.clone().unwrap_or_default();
    let is_deleted = volume.metadata.deletion_timestamp.is_some();
    match step {
        Step::Refuse(refusal) => Some(refused(&before, refusal, now)),
        Step::RecordRegion(region) => Some(provisioning(&before, region, now)),
        Step::RecordReady(provisioned) => Some(ready(&before, provisioned, revision, now)),
        Step::Wait(blocked) => {
            let message = blocked.to_string();
            let phase = phase_of_blocked(&before, blocked);
            let failing = failing(&before, is_deleted, blocked.reason(), message, now);
            Some(PmemVolumeStatus { phase, ..failing })
        }
        Step::Nothing
        | Step::Create(_)
        | Step::Scrub(_)
        | Step::Configure(..)
        | Step::Mark(_)
        | Step::MarkEarlier(..)
        | Step::Destroy
        | Step::RemoveFinalizer => None,
    }
}

/// It stays. But what had a namespace is neither about to get one nor was it refused: somebody wrote that by hand.
fn phase_of_blocked(before: &PmemVolumeStatus, blocked: &Blocked) -> Option<Phase> {
    let is_said = matches!(before.phase, Some(Phase::Provisioning | Phase::Refused));
    if is_said && matches!(blocked, Blocked::Vanished { .. }) {
        Some(Phase::Ready)
    } else {
        before.phase
    }
}

/// Until there is a namespace, nothing is recorded of it.
fn provisioning(before: &PmemVolumeStatus, region: &RegionId, now: Timestamp) -> PmemVolumeStatus {
    let condition = provisioned(false, "Provisioning", format!("making a namespace in region {region}"));
    PmemVolumeStatus {
        phase: Some(Phase::Provisioning),
        region: Some(region.clone()),
        conditions: set(&before.conditions, &condition, now),
        ..PmemVolumeStatus::default()
    }
}

fn refused(before: &PmemVolumeStatus, refusal: &Refusal, now: Timestamp) -> PmemVolumeStatus {
    let reason = match refusal {
        Refusal::NoSpace { .. } | Refusal::NotTogether { .. } | Refusal::NoRegion { .. } => "NoSpace",
        Refusal::LimitTooLow { .. } | Refusal::BeyondAddressing { .. } => "OutOfRange",
    };
    let condition = provisioned(false, reason, refusal.to_string());
    PmemVolumeStatus {
        phase: Some(Phase::Refused),
        conditions: set(&before.conditions, &condition, now),
        ..PmemVolumeStatus::default()
    }
}

/// A layout revision that was written before stays: it is the first that contained the volume.
fn ready(before: &PmemVolumeStatus, namespace: &Provisioned, revision: i64, now: Timestamp) -> PmemVolumeStatus {
    let location = &namespace.location;
    let (usable, raw) = (namespace.usable, location.extent.size);
    let message = format!("{usable} usable in {raw} of region {}", location.region);
    PmemVolumeStatus {
        phase: Some(Phase::Ready),
        region: Some(location.region.clone()),
        footprint: Some(location.extent),
        usable: Some(usable),
        layout_revision: before.layout_revision.or(Some(revision)),
        conditions: set(&before.conditions, &provisioned(true, "NamespaceReady", message), now),
    }
}

/// The status of a volume that is blocked, or that a step failed for: the phase stays, the condition shows why.
#[must_use]
pub fn failing(
    before: &PmemVolumeStatus,
    is_deleted: bool,
    reason: &'static str,
    message: String,
    now: Timestamp,
) -> PmemVolumeStatus {
    let condition = if is_deleted {
        not_erased(reason, message)
    } else {
        provisioned(false, reason, message)
    };
    PmemVolumeStatus {
        conditions: set(&before.conditions, &condition, now),
        ..before.clone()
    }
}

fn provisioned(is_true: bool, reason: &'static str, message: String) -> NewCondition {
    NewCondition {
        kind: PROVISIONED,
        is_true,
        reason,
        message,
    }
}

fn not_erased(reason: &'static str, message: String) -> NewCondition {
    NewCondition {
        kind: ERASED,
        is_true: false,
        reason,
        message,
    }
}
