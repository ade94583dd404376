//! How each kind of object changes the state.

use std::collections::HashSet;
use std::fmt;

use cluster::watch::Indexes;
use cluster::{AvailableVolume, Claim, Class, ObjectKey, Pod, VolumeOfOurs};
use crds::{PmemNode, PmemVolume};
use k8s_openapi::api::core::v1::{self as core, PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::{CSINode, StorageClass};

use super::State;

/// The kinds of objects that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names of the kinds say it all")]
pub enum Kind {
    PmemNode,
    PmemVolume,
    PersistentVolumeClaim,
    PersistentVolume,
    StorageClass,
    Pod,
    CSINode,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::PmemNode,
        Self::PmemVolume,
        Self::PersistentVolumeClaim,
        Self::PersistentVolume,
        Self::StorageClass,
        Self::Pod,
        Self::CSINode,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Indexes<PmemNode> for State {
    fn apply(&mut self, object: &PmemNode) {
        let name = ObjectKey::of(object).name;
        self.index.put_node(&name, object.status.as_ref());
        self.refresh_node(&name);
    }

    fn delete(&mut self, key: &ObjectKey) {
        self.index.put_node(&key.name, None);
        self.refresh_node(&key.name);
    }

    fn reset(&mut self, listed: &HashSet<ObjectKey>) {
        for key in self.index.nodes_not_in(listed) {
            Indexes::<PmemNode>::delete(self, &key);
        }
        self.listed.insert(Kind::PmemNode);
    }
}

impl Indexes<PmemVolume> for State {
    fn apply(&mut self, object: &PmemVolume) {
        let name = ObjectKey::of(object).name;
        let nodes = self.index.put_volume(&name, object);
        self.refresh_free(&nodes);
        self.follow_volume(&name);
    }

    fn delete(&mut self, key: &ObjectKey) {
        if let Some(node) = self.index.remove_volume(&key.name) {
            self.refresh_free([&node]);
            self.follow_volume(&key.name);
        }
    }

    fn reset(&mut self, listed: &HashSet<ObjectKey>) {
        for key in self.index.volumes_not_in(listed) {
            Indexes::<PmemVolume>::delete(self, &key);
        }
        self.listed.insert(Kind::PmemVolume);
    }
}

impl Indexes<PersistentVolumeClaim> for State {
    fn apply(&mut self, object: &PersistentVolumeClaim) {
        let key = ObjectKey::of(object);
        if let Some(before) = self.index.put_claim(&key, Claim::from(object)) {
            self.claim_is_gone(&before.uid);
        }
        self.follow_claim(&key);
    }

    fn delete(&mut self, key: &ObjectKey) {
        if let Some(claim) = self.index.remove_claim(key) {
            self.claim_is_gone(&claim.uid);
            self.volume_left(&claim);
        }
    }

    fn reset(&mut self, listed: &HashSet<ObjectKey>) {
        for key in self.index.claims_not_in(listed) {
            Indexes::<PersistentVolumeClaim>::delete(self, &key);
        }
        self.listed.insert(Kind::PersistentVolumeClaim);
    }
}

impl Indexes<PersistentVolume> for State {
    fn apply(&mut self, object: &PersistentVolume) {
        let name = ObjectKey::of(object).name;
        self.index.put_persistent_volume(&name, VolumeOfOurs::of(object));
        let available = AvailableVolume::of(object);
        let nodes = available.as_ref().map(|volume| volume.nodes.clone());
        if self.index.put_available_volume(&name, available)
            && let Some(nodes) = nodes
        {
            self.volume_gained(nodes);
        }
    }

    fn delete(&mut self, key: &ObjectKey) {
        self.index.put_persistent_volume(&key.name, None);
        self.index.put_available_volume(&key.name, None);
    }

    fn reset(&mut self, listed: &HashSet<ObjectKey>) {
        self.index.retain_persistent_volumes(listed);
        if self.listed.insert(Kind::PersistentVolume) {
            self.follow_pods_anew();
        }
    }
}

impl Indexes<StorageClass> for State {
    fn apply(&mut self, object: &StorageClass) {
        let name = ObjectKey::of(object).name;
        if self.index.put_class(&name, Some(Class::from(object))) {
            self.follow_class(&name);
        }
    }

    fn delete(&mut self, key: &ObjectKey) {
        self.index.put_class(&key.name, None);
        self.follow_class(&key.name);
    }

    fn reset(&mut self, listed: &HashSet<ObjectKey>) {
        for key in self.index.classes_not_in(listed) {
            Indexes::<StorageClass>::delete(self, &key);
        }
        self.listed.insert(Kind::StorageClass);
    }
}

/// Of pods without a node only: one that gets a node is gone, as if it were deleted.
impl Indexes<core::Pod> for State {
    fn apply(&mut self, object: &core::Pod) {
        let key = ObjectKey::of(object);
        let pod = Pod::from(object);
        if let Some(before) = self.index.put_pod(&key, pod) {
            self.pod_is_gone(&before.uid);
        }
        self.follow_pod(&key);
    }

    fn delete(&mut self, key: &ObjectKey) {
        if let Some(pod) = self.index.remove_pod(key) {
            self.pod_is_gone(&pod.uid);
        }
    }

    fn reset(&mut self, listed: &HashSet<ObjectKey>) {
        for key in self.index.pods_not_in(listed) {
            Indexes::<core::Pod>::delete(self, &key);
        }
        self.listed.insert(Kind::Pod);
    }
}

impl Indexes<CSINode> for State {
    fn apply(&mut self, object: &CSINode) {
        if self.index.put_csi_node(object) {
            self.refresh_node(&ObjectKey::of(object).name);
        }
    }

    fn delete(&mut self, key: &ObjectKey) {
        if self.index.remove_csi_node(&key.name) {
            self.refresh_node(&key.name);
        }
    }

    fn reset(&mut self, listed: &HashSet<ObjectKey>) {
        for key in self.index.driverless_nodes_not_in(listed) {
            Indexes::<CSINode>::delete(self, &key);
        }
        self.listed.insert(Kind::CSINode);
    }
}
