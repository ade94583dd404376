//! The PmemVolume of a volume that is kept, as far as it is known.

use crds::{ClaimRef, ErasePolicy, KeptVolume, NumaChoice, PmemVolume, PmemVolumeSpec};
use k8s_openapi::api::core::v1::ObjectReference;
use placement::{Bytes, MapLocation};

use crate::index::NamedVolume;

/// The PmemVolume of a volume that `node` keeps, and that `named` names. Its namespace is there already, so it says
/// nothing about where to make one, and that none may be made.
#[must_use]
pub fn object_of(node: &str, kept: &KeptVolume, named: Option<&NamedVolume>) -> PmemVolume {
    let spec = PmemVolumeSpec {
        node: node.into(),
        required: required(kept, named),
        limit: None,
        mode: kept.mode.or(named.and_then(|named| named.mode)).unwrap_or_default(),
        map: MapLocation::default(),
        numa: NumaChoice::Any,
        erase: ErasePolicy::Zero,
        claim: named.and_then(|named| named.claim.as_ref()).and_then(claim_ref),
    };
    PmemVolume::new(&kept.name, spec).kept()
}

/// What the `PersistentVolume` promises, but not more than there is.
fn required(kept: &KeptVolume, named: Option<&NamedVolume>) -> Bytes {
    let promised = named.and_then(|named| named.capacity);
    let known = promised.into_iter().chain(kept.usable).min();
    known.unwrap_or(kept.footprint.size).max(Bytes::new(1))
}

fn claim_ref(claim: &ObjectReference) -> Option<ClaimRef> {
    Some(ClaimRef {
        namespace: claim.namespace.clone()?,
        name: claim.name.clone()?,
    })
}
