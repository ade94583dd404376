//! The space that is left for a volume.

use crds::{Phase, PmemVolume};
use placement::{Node, PendingVolume};

use crate::devices::Inventory;

/// The ready regions as `volume` finds them: without the namespaces that are there, and without the space of the volumes
/// among `all` that were made before it and have no namespace yet. The operator and the extender count in the same order.
#[must_use]
pub fn free_for<'a>(volume: &PmemVolume, inventory: &Inventory, all: impl IntoIterator<Item = &'a PmemVolume>) -> Node {
    let own = order(volume);
    let mut before: Vec<&PmemVolume> = all
        .into_iter()
        .filter(|other| other.spec.node == volume.spec.node && order(other) < own && will_take_space(other, inventory))
        .collect();
    before.sort_by_key(|other| order(other));
    let pending: Vec<PendingVolume> = before.into_iter().map(pending).collect();
    inventory.to_placement().with_pending(&pending)
}

/// Older first, then by name.
fn order(volume: &PmemVolume) -> (Option<jiff::Timestamp>, &str) {
    let meta = &volume.metadata;
    (
        meta.creation_timestamp.as_ref().map(|time| time.0),
        meta.name.as_deref().unwrap_or_default(),
    )
}

fn will_take_space(volume: &PmemVolume, inventory: &Inventory) -> bool {
    let name = volume.metadata.name.as_deref().unwrap_or_default();
    let status = volume.status.as_ref();
    let phase = status.and_then(|status| status.phase);
    let region = status.and_then(|status| status.region.as_ref());
    let is_young = matches!(phase, None | Some(Phase::Provisioning));
    let is_here = region.is_none_or(|id| inventory.region(id).is_some());
    is_young && is_here && volume.metadata.deletion_timestamp.is_none() && inventory.named(name).next().is_none()
}

fn pending(volume: &PmemVolume) -> PendingVolume {
    PendingVolume {
        request: volume.spec.request(),
        region: volume.status.as_ref().and_then(|status| status.region.clone()),
    }
}
