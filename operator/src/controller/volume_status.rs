//! What the status of a PmemVolume says.

use crds::{Phase, PmemVolume};

/// How far the node's driver has come with the volume; none before it has seen it.
#[must_use]
pub fn phase(volume: &PmemVolume) -> Option<Phase> {
    volume.status.as_ref()?.phase
}

/// Whether CSI callers may be shown the volume: it is made, and not being deleted.
#[must_use]
pub fn is_usable(volume: &PmemVolume) -> bool {
    phase(volume) == Some(Phase::Ready) && volume.metadata.deletion_timestamp.is_none()
}

/// Why a volume is not ready (yet), in the words of the node's driver: the message of its condition `Provisioned`.
#[must_use]
pub fn provisioning_message(volume: &PmemVolume) -> Option<&str> {
    let conditions = &volume.status.as_ref()?.conditions;
    let provisioned = conditions.iter().find(|condition| condition.type_ == "Provisioned")?;
    Some(&provisioned.message)
}
