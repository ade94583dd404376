//! The statuses of a volume, as they are written.

use crds::{EraseProgress, Phase, PmemVolume, PmemVolumeStatus};
use jiff::Timestamp;
use placement::{Bytes, Refusal, RegionId};

use super::decide::{Provisioned, Step};
use super::done::Place;
use crate::conditions::{Says, with};

/// Whether the volume can be used.
pub const PROVISIONED: &str = "Provisioned";
/// Whether the bytes of a deleted volume are zero.
pub const ERASED: &str = "Erased";

fn provisioned(holds: bool, reason: &'static str, message: String) -> Says {
    Says {
        kind: PROVISIONED,
        holds,
        reason,
        message,
    }
}

fn erased(reason: &'static str, message: String) -> Says {
    Says {
        kind: ERASED,
        holds: false,
        reason,
        message,
    }
}

/// The status that `volume` has after `step`, or none if the step does not change it. `revision` stands for the layout at
/// which the step was decided.
#[must_use]
pub fn after(step: &Step, volume: &PmemVolume, revision: i64, now: Timestamp) -> Option<PmemVolumeStatus> {
    let before = volume.status.clone().unwrap_or_default();
    let is_deleted = volume.metadata.deletion_timestamp.is_some();
    match step {
        Step::Refuse(refusal) => Some(refused(&before, refusal, now)),
        Step::Choose(region) => Some(chosen(&before, region, now)),
        Step::Report(provisioned) => Some(ready(&before, provisioned, revision, now)),
        Step::BeginErase(place) => Some(erasing(&before, place, Bytes::ZERO, now)),
        Step::Wait(blocked) => {
            let message = blocked.to_string();
            Some(stuck(&before, is_deleted, blocked.reason(), message, now))
        }
        Step::Idle
        | Step::AddFinalizer
        | Step::Create(_)
        | Step::Scrub(_)
        | Step::Configure(..)
        | Step::Erase(_)
        | Step::Destroy
        | Step::Release => None,
    }
}

/// It is being made in `region`.
fn chosen(before: &PmemVolumeStatus, region: &RegionId, now: Timestamp) -> PmemVolumeStatus {
    let says = provisioned(false, "Provisioning", format!("making a namespace in region {region}"));
    PmemVolumeStatus {
        phase: Some(Phase::Provisioning),
        region: Some(region.clone()),
        conditions: with(&before.conditions, &says, now),
        ..before.clone()
    }
}

/// It fits nowhere.
fn refused(before: &PmemVolumeStatus, refusal: &Refusal, now: Timestamp) -> PmemVolumeStatus {
    let reason = match refusal {
        Refusal::NoSpace { .. } | Refusal::NotTogether { .. } | Refusal::NoRegion { .. } => "NoSpace",
        Refusal::LimitTooLow { .. } | Refusal::BeyondAddressing { .. } => "OutOfRange",
    };
    let says = provisioned(false, reason, refusal.to_string());
    PmemVolumeStatus {
        phase: Some(Phase::Refused),
        region: None,
        conditions: with(&before.conditions, &says, now),
        ..before.clone()
    }
}

/// It can be used. `revision` is the layout that contains it; one that was told before stays.
fn ready(before: &PmemVolumeStatus, provisioned: &Provisioned, revision: i64, now: Timestamp) -> PmemVolumeStatus {
    let place = &provisioned.place;
    let says = self::provisioned(
        true,
        "NamespaceReady",
        format!(
            "{} usable in {} of region {}",
            provisioned.usable, place.extent.size, place.region
        ),
    );
    PmemVolumeStatus {
        phase: Some(Phase::Ready),
        region: Some(place.region.clone()),
        footprint: Some(place.extent),
        usable: Some(provisioned.usable),
        layout_revision: before.layout_revision.or(Some(revision)),
        erase: None,
        conditions: with(&before.conditions, &says, now),
    }
}

/// Zeros are being written, and `done` bytes of it are zero.
#[must_use]
pub fn erasing(before: &PmemVolumeStatus, place: &Place, done: Bytes, now: Timestamp) -> PmemVolumeStatus {
    let total = place.extent.size;
    let says = erased("Erasing", format!("writing zeros over {total}"));
    PmemVolumeStatus {
        phase: Some(Phase::Erasing),
        erase: Some(EraseProgress { done, total }),
        conditions: with(&before.conditions, &says, now),
        ..before.clone()
    }
}

/// It cannot go on.
#[must_use]
pub fn stuck(
    before: &PmemVolumeStatus,
    is_deleted: bool,
    reason: &'static str,
    message: String,
    now: Timestamp,
) -> PmemVolumeStatus {
    let says = if is_deleted {
        erased(reason, message)
    } else {
        provisioned(false, reason, message)
    };
    PmemVolumeStatus {
        conditions: with(&before.conditions, &says, now),
        ..before.clone()
    }
}
