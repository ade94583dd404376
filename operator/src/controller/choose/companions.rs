//! The volumes that have to be on one NUMA node with a new one, as far as they matter to one node.

use std::collections::{BTreeMap, BTreeSet};

use cluster::{CompanionPlace, Companions, VolumeSpace};
use crds::PmemVolume;
use placement::VolumeRequest;

use crate::index::Index;

/// The companions of a claim whose class wishes its volume together with the others of its pod.
///
/// The claims of all pods that share such a claim are companions of each other. There are none for a claim without a pod:
/// its volume may be anywhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CompanionClaims {
    /// The names of their volumes, also of those that do not exist yet.
    pub volumes: BTreeSet<String>,
    /// Those of these volumes that were read from the API server, by name: the watch had not shown them.
    pub read: BTreeMap<String, PmemVolume>,
    /// For each pod that uses the claim, what its other unbound claims ask for, whatever they wish, by the name of the
    /// volume that each has or will have.
    pub pods: Vec<BTreeMap<String, VolumeRequest>>,
}

impl CompanionClaims {
    /// Where the companions are that have a volume on `node`, and what those that have no volume yet ask for.
    #[must_use]
    pub fn on_node(&self, node: &str, index: &Index) -> Companions {
        let status = index.node_status(node);
        let place = |name: &String| {
            let volume = index.newest_volume(name).or_else(|| self.read.get(name))?;
            let space = VolumeSpace::from(volume);
            (volume.spec.node == node && space.stays()).then(|| CompanionPlace::of(name, &space, status))
        };
        let to_come = |pod: &BTreeMap<String, VolumeRequest>| {
            let mut pod = pod.clone();
            pod.retain(|volume, _| index.newest_volume(volume).is_none());
            pod
        };
        Companions {
            volumes: self.volumes.iter().filter_map(place).collect(),
            pods: self.pods.iter().map(to_come).collect(),
        }
    }
}
