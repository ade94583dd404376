//! The statuses of a volume, as they are written.

use crds::{EraseProgress, Phase, PmemVolumeStatus};
use jiff::Timestamp;
use placement::{Bytes, Refusal, RegionId};

use super::blocked::Blocked;
use super::decide::Provisioned;
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

/// It is being made in `region`.
#[must_use]
pub fn chosen(before: &PmemVolumeStatus, region: &RegionId, now: Timestamp) -> PmemVolumeStatus {
    let says = provisioned(false, "Provisioning", format!("making a namespace in region {region}"));
    PmemVolumeStatus {
        phase: Some(Phase::Provisioning),
        region: Some(region.clone()),
        conditions: with(&before.conditions, &says, now),
        ..before.clone()
    }
}

/// It fits nowhere.
#[must_use]
pub fn refused(before: &PmemVolumeStatus, refusal: &Refusal, now: Timestamp) -> PmemVolumeStatus {
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
#[must_use]
pub fn ready(before: &PmemVolumeStatus, provisioned: &Provisioned, revision: i64, now: Timestamp) -> PmemVolumeStatus {
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

/// It cannot go on before somebody helps.
#[must_use]
pub fn blocked(before: &PmemVolumeStatus, is_deleted: bool, why: &Blocked, now: Timestamp) -> PmemVolumeStatus {
    stuck(before, is_deleted, why.reason(), why.to_string(), now)
}
