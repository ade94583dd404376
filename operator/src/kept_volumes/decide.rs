//! Which volumes get their objects back, and which nobody names.

use std::collections::{BTreeMap, BTreeSet};

use crds::PmemVolume;

use super::object::object_of;
use super::place::{KeptPlace, KeptPlaceError};
use crate::index::{Index, NamedVolume};

/// The `PmemVolumes` that are to be made anew: a node keeps the data, and a `PersistentVolume` names it there. One whose
/// deletion external-provisioner is asking for is none of them: DeleteVolume itself sees to it. Empty until the index is
/// synced.
#[must_use]
pub fn objects_to_make(index: &Index) -> Vec<PmemVolume> {
    let to_make = kept_volumes(index).filter_map(|place| {
        let named = named_on(index, place).ok()?;
        (!named.is_released_for_deletion).then(|| object_of(place, Some(named)))
    });
    to_make.collect()
}

/// Why a volume that is kept gets no object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unnamed {
    /// No `PersistentVolume` names it on this node.
    ByNobody,
    /// More than one namespace has its mark; the node of each.
    Twice(Vec<String>),
}

/// The volumes that get no object and wait for an administrator, by node and reason. Empty until the index is synced.
#[must_use]
pub fn unnamed_volumes(index: &Index) -> BTreeMap<(String, Unnamed), BTreeSet<String>> {
    let mut unnamed: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for place in kept_volumes(index) {
        if let Err(why) = named_on(index, place)
            && !(why == Unnamed::ByNobody && place.is_claims_and_unused())
        {
            let key = (place.node.to_owned(), why);
            unnamed.entry(key).or_default().insert(place.kept.name.clone());
        }
    }
    unnamed
}

/// Those that have no object on their node. Its report may be older than the object.
fn kept_volumes(index: &Index) -> impl Iterator<Item = KeptPlace<'_>> {
    let kept = index.kept_volumes().filter(|_| index.synced());
    kept.filter(|place| {
        let object = index.newest_volume(&place.kept.name);
        object.is_none_or(|object| object.spec.node != *place.node)
    })
}

/// The `PersistentVolume` that names a kept volume on its node.
fn named_on<'a>(index: &'a Index, place: KeptPlace<'_>) -> Result<&'a NamedVolume, Unnamed> {
    let (node, kept) = (place.node, place.kept);
    if let Some(object) = index.newest_volume(&kept.name) {
        return Err(Unnamed::Twice(vec![node.into(), object.spec.node.clone()]));
    }
    match KeptPlace::find(index, &kept.name) {
        // It is kept, so it is somewhere.
        Ok(None) | Err(KeptPlaceError::NotReported { .. }) => return Err(Unnamed::ByNobody),
        Err(KeptPlaceError::OnSeveralNodes { nodes, .. }) => return Err(Unnamed::Twice(nodes)),
        Ok(Some(_)) => {}
    }
    let mut named = index.persistent_volumes_of(&kept.name);
    let here = named.find(|named| named.volume.node.as_deref() == Some(node));
    here.ok_or(Unnamed::ByNobody)
}
