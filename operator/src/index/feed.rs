//! What each event of a watch changes in the index.

use std::collections::{BTreeSet, HashSet};

use cluster::watch::Indexes;
use cluster::{Class, ObjectKey};
use crds::{PmemNode, PmemVolume};
use k8s_openapi::api::core::v1::PersistentVolume;
use k8s_openapi::api::storage::v1::{CSINode, CSIStorageCapacity, StorageClass};
use kube::ResourceExt;

use super::persistent_volumes::NamedVolume;
use super::state::Index;
use crate::capacity_object::PublishedCapacity;

impl Indexes<PmemNode> for Index {
    fn apply(&mut self, node: &PmemNode) {
        self.nodes.insert(node.name_any(), node.clone());
        self.mark_dirty([node.name_any()]);
    }

    fn delete(&mut self, key: &ObjectKey) {
        self.nodes.remove(&key.name);
        self.give_up_if_gone(&key.name);
        self.mark_dirty([key.name.to_string()]);
    }

    fn reset(&mut self, listed: &HashSet<ObjectKey>) {
        self.mark_all_dirty();
        let before: Vec<String> = self.nodes.names().cloned().collect();
        self.nodes.retain(&names(listed));
        for name in before {
            self.give_up_if_gone(&name);
        }
    }
}

impl Indexes<PmemVolume> for Index {
    fn apply(&mut self, volume: &PmemVolume) {
        let nodes = self.volumes.apply(volume.name_any(), volume.clone());
        self.mark_dirty(nodes);
    }

    fn delete(&mut self, key: &ObjectKey) {
        let node = self.volumes.delete(&key.name);
        self.mark_dirty(node);
    }

    fn reset(&mut self, listed: &HashSet<ObjectKey>) {
        let nodes = self.volumes.retain(&names(listed));
        self.mark_dirty(nodes);
    }
}

impl Indexes<PersistentVolume> for Index {
    fn apply(&mut self, object: &PersistentVolume) {
        self.persistent_volumes
            .apply(&object.name_any(), NamedVolume::of(object));
    }

    fn delete(&mut self, key: &ObjectKey) {
        self.persistent_volumes.remove(&key.name);
    }

    fn reset(&mut self, listed: &HashSet<ObjectKey>) {
        self.persistent_volumes.retain(&names(listed));
    }
}

impl Indexes<StorageClass> for Index {
    fn apply(&mut self, class: &StorageClass) {
        let (name, class) = (class.name_any(), Class::from(class));
        let ours = class.ours().is_some();
        let before = self.classes.insert(name, class.clone());
        let was_ours = before.as_ref().is_some_and(|before| before.ours().is_some());
        if (ours || was_ours) && before != Some(class) {
            self.mark_all_dirty();
        }
    }

    fn delete(&mut self, key: &ObjectKey) {
        let removed = self.classes.remove(&key.name);
        if removed.is_some_and(|class| class.ours().is_some()) {
            self.mark_all_dirty();
        }
    }

    fn reset(&mut self, listed: &HashSet<ObjectKey>) {
        self.classes.retain(&names(listed));
        self.mark_all_dirty();
    }
}

impl Indexes<CSINode> for Index {
    fn apply(&mut self, node: &CSINode) {
        self.csi_nodes.insert(node.name_any());
        if self.driverless.put(node) {
            self.mark_dirty([node.name_any()]);
        }
    }

    fn delete(&mut self, key: &ObjectKey) {
        self.csi_nodes.remove(&*key.name);
        self.give_up_if_gone(&key.name);
        if self.driverless.remove(&key.name) {
            self.mark_dirty([key.name.to_string()]);
        }
    }

    fn reset(&mut self, listed: &HashSet<ObjectKey>) {
        let gone = self.csi_nodes.iter().map(|name| ObjectKey::new("", name));
        let gone: Vec<ObjectKey> = gone.filter(|key| !listed.contains(key)).collect();
        for key in gone {
            Indexes::<CSINode>::delete(self, &key);
        }
        self.csi_nodes_synced = true;
    }
}

impl Indexes<CSIStorageCapacity> for Index {
    fn begin_list(&mut self) {
        self.capacities.forget_written();
    }

    fn apply(&mut self, object: &CSIStorageCapacity) {
        let nodes = self.capacities.apply(object.name_any(), PublishedCapacity::of(object));
        self.mark_dirty(nodes);
    }

    fn delete(&mut self, key: &ObjectKey) {
        let node = self.capacities.delete(&key.name);
        self.mark_dirty(node);
    }

    fn reset(&mut self, listed: &HashSet<ObjectKey>) {
        let nodes = self.capacities.retain(&names(listed));
        self.mark_dirty(nodes);
    }
}

/// The kinds here have no namespace, or are watched in one only.
impl Index {
    /// A node without CSINode is none: the kubelet makes it, and it goes with the Node.
    fn give_up_if_gone(&mut self, node: &str) {
        if !self.csi_nodes.contains(node) {
            self.nodes.give_up(node);
        }
    }
}

fn names(listed: &HashSet<ObjectKey>) -> BTreeSet<&str> {
    listed.iter().map(|key| &*key.name).collect()
}
