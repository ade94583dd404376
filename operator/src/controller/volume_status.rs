//! What the status of a PmemVolume says.

use crds::{NAMESPACE_GONE, Phase, PmemVolume, WRONG_MODE, WRONG_SIZE};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

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
    Some(&volume.provisioned()?.message)
}

/// Whether its node found a namespace of that name which is not what the volume asks for: it was made for an object of before.
#[must_use]
pub fn meets_another(volume: &PmemVolume) -> bool {
    let is_unlike = |condition: &Condition| [WRONG_MODE, WRONG_SIZE].contains(&&*condition.reason);
    volume.provisioned().is_some_and(is_unlike)
}

/// Whether it had a namespace that is gone.
#[must_use]
pub fn is_gone(volume: &PmemVolume) -> bool {
    volume
        .provisioned()
        .is_some_and(|condition| condition.reason == NAMESPACE_GONE)
}
