//! The volumes that have to be on one NUMA node with a new one, as far as they matter to one node.

use std::collections::{BTreeMap, BTreeSet};

use cluster::{CompanionPlace, Companions, VolumeSpace};
use crds::PmemVolume;
use placement::VolumeRequest;

use crate::index::Index;
use crate::kept_volumes::KeptPlace;

/// The companions of a claim whose class wishes its volume together with the others of its pod.
///
/// The claims of all pods that share such a claim are companions of each other. There are none for a claim without a pod:
/// its volume may be anywhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CompanionClaims {
    /// The names of their volumes, also of those that do not exist yet.
    pub volumes: BTreeSet<String>,
    /// Those of these volumes that a PersistentVolume names.
    pub bound: BTreeSet<String>,
    /// Those of these volumes that were read from the API server, by name: the watch had not shown them, or as one that goes.
    pub read: BTreeMap<String, PmemVolume>,
    /// For each pod that uses the claim, what its other unbound claims ask for, whatever they wish, by the name of the
    /// volume that each has or will have.
    pub pods: Vec<BTreeMap<String, VolumeRequest>>,
}

impl CompanionClaims {
    /// Where the companions are that have a volume, seen from `node`, and what those that have no volume yet ask for.
    #[must_use]
    pub fn on_node(&self, node: &str, index: &Index) -> Companions {
        let place = |name: &String| match self.volume(name, index) {
            Some(volume) if stays(volume) => Some(place_of(name, volume, node, index)),
            Some(_) if !self.bound.contains(name) => None,
            // A PersistentVolume names it, so it is somewhere: its node is still to tell where.
            _ => kept_place(name, node, index)
                .or_else(|| self.bound.contains(name).then(|| CompanionPlace::NotYet(name.clone()))),
        };
        let to_come = |pod: &BTreeMap<String, VolumeRequest>| {
            let mut pod = pod.clone();
            pod.retain(|volume, _| !index.newest_volume(volume).is_some_and(stays));
            pod
        };
        Companions {
            volumes: self.volumes.iter().filter_map(place).collect(),
            pods: self.pods.iter().map(to_come).collect(),
        }
    }

    /// A volume that goes may be what was before etcd was restored: what was read is newer.
    fn volume<'a>(&'a self, name: &str, index: &'a Index) -> Option<&'a PmemVolume> {
        let shown = index.newest_volume(name);
        shown
            .filter(|volume| stays(volume))
            .or_else(|| self.read.get(name))
            .or(shown)
    }
}

/// Whether a volume is neither refused nor deleted.
pub(super) fn stays(volume: &PmemVolume) -> bool {
    VolumeSpace::from(volume).stays()
}

fn place_of(name: &str, volume: &PmemVolume, node: &str, index: &Index) -> CompanionPlace {
    if volume.spec.node == node {
        CompanionPlace::of(name, &VolumeSpace::from(volume), index.node_status(node))
    } else {
        elsewhere(name, &volume.spec.node)
    }
}

/// Without object it may be there all the same, and its claim gets it. What nobody used is made anew where it is wanted.
fn kept_place(name: &str, node: &str, index: &Index) -> Option<CompanionPlace> {
    let Ok(place) = KeptPlace::find(index, name) else {
        return Some(CompanionPlace::NotYet(name.into()));
    };
    let place = place.filter(|place| place.node == node || !place.kept.unused)?;
    Some(match (place.node == node, place.region.numa_node) {
        (true, Some(numa)) => CompanionPlace::On(numa),
        (true, None) => CompanionPlace::Untold,
        (false, _) => elsewhere(name, place.node),
    })
}

fn elsewhere(volume: &str, node: &str) -> CompanionPlace {
    CompanionPlace::Elsewhere {
        volume: volume.into(),
        node: node.into(),
    }
}
