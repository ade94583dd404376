//! Which volumes get their objects back, and which nobody names.

use std::collections::{BTreeMap, BTreeSet};

use crds::{KeptVolume, PmemVolume};

use super::object::object_of;
use super::place::{KeptPlace, KeptPlaceError};
use crate::index::{Index, NamedVolume};

/// The `PmemVolumes` that are to be made anew: a node keeps the data, and a `PersistentVolume` names it there. One whose
/// deletion external-provisioner is asking for is none of them: DeleteVolume itself sees to it. Empty until the index is
/// synced.
#[must_use]
pub fn objects_to_make(index: &Index) -> Vec<PmemVolume> {
    let without_object = without_object(index).into_iter();
    let to_make = without_object.filter_map(|(node, kept)| {
        let named = named_on(index, node, kept).ok()?;
        (!named.is_released_for_deletion).then(|| object_of(node, kept, Some(named)))
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

/// The volumes that get no object, by node and reason. Empty until the index is synced.
#[must_use]
pub fn unnamed_volumes(index: &Index) -> BTreeMap<(String, Unnamed), BTreeSet<String>> {
    let mut unnamed: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for (node, kept) in without_object(index) {
        if let Err(why) = named_on(index, node, kept) {
            unnamed
                .entry((node.to_owned(), why))
                .or_default()
                .insert(kept.name.clone());
        }
    }
    unnamed
}

fn without_object(index: &Index) -> Vec<(&str, &KeptVolume)> {
    if !index.synced() {
        return Vec::new();
    }
    let kept = index.kept_volumes();
    kept.filter(|(_, kept)| index.newest_volume(&kept.name).is_none())
        .collect()
}

/// The `PersistentVolume` that names a kept volume on its node.
fn named_on<'a>(index: &'a Index, node: &str, kept: &KeptVolume) -> Result<&'a NamedVolume, Unnamed> {
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
