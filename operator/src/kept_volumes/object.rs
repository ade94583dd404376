//! The PmemVolume of a volume that has lost its own, as far as it is known.

use crds::{ClaimRef, ErasePolicy, NumaChoice, PmemVolume, PmemVolumeSpec, VolumeMode};
use k8s_openapi::api::core::v1::ObjectReference;
use placement::{Bytes, MapLocation};

use super::place::KeptPlace;
use crate::index::NamedVolume;

/// The PmemVolume of a volume that `node` keeps, and that `named` names.
#[must_use]
pub fn object_of(place: KeptPlace<'_>, named: Option<&NamedVolume>) -> PmemVolume {
    let kept = place.kept;
    // What the PersistentVolume promises, but not more than there is.
    let promised = named.and_then(|named| named.capacity);
    let known = promised.into_iter().chain(kept.usable).min();
    let mode = kept.mode.or(named.and_then(|named| named.mode));
    let required = known.unwrap_or(kept.footprint.size);
    object(&kept.name, place.node, required, mode, named).kept(Some(&place.region.id), kept.unused)
}

/// The PmemVolume of `volume`, which `named` names on `node` and no node shows: the node looks for it on its devices.
#[must_use]
pub fn object_to_look_for(volume: &str, node: &str, named: &NamedVolume) -> PmemVolume {
    let required = named.capacity.unwrap_or_default();
    object(volume, node, required, named.mode, Some(named)).kept(named.region.as_ref(), false)
}

/// If there is a namespace, it is there already. So the object says nothing about where to make one, and that none may be made.
fn object(
    volume: &str,
    node: &str,
    required: Bytes,
    mode: Option<VolumeMode>,
    named: Option<&NamedVolume>,
) -> PmemVolume {
    let spec = PmemVolumeSpec {
        node: node.into(),
        required: required.max(Bytes::new(1)),
        limit: None,
        mode: mode.unwrap_or_default(),
        map: MapLocation::default(),
        numa: NumaChoice::Any,
        erase: ErasePolicy::Zero,
        erase_rate: None,
        claim: named.and_then(|named| named.claim.as_ref()).and_then(claim_ref),
    };
    PmemVolume::new(volume, spec)
}

fn claim_ref(claim: &ObjectReference) -> Option<ClaimRef> {
    Some(ClaimRef {
        namespace: claim.namespace.clone()?,
        name: claim.name.clone()?,
    })
}
