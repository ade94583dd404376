//! How the index changes with the objects of the cluster.

use std::collections::HashSet;
use std::sync::Arc;

use cluster::{AvailableVolume, Claim, Class, ObjectKey, Pod, VolumeOfOurs};
use crds::{PmemNodeStatus, PmemVolume};
use k8s_openapi::api::storage::v1::CSINode;

use super::Index;

impl Index {
    /// A node reports `status`; none if it has no PmemNode any more.
    pub fn put_node(&mut self, name: &str, status: Option<&PmemNodeStatus>) {
        let name = self.intern_node(name);
        if let Some(node) = self.nodes.get_mut(&name) {
            node.report(status);
        }
        self.drop_unknown(&name);
    }

    /// The nodes with a PmemNode that are not in `listed`.
    #[must_use]
    pub fn nodes_not_in(&self, listed: &HashSet<ObjectKey>) -> Vec<ObjectKey> {
        not_in(listed, self.nodes.keys().map(AsRef::as_ref))
    }

    /// A volume came or changed. Returns its nodes: the one that it is on, and the one that it was on before if its name
    /// was made anew elsewhere.
    pub fn put_volume(&mut self, name: &str, volume: &PmemVolume) -> Vec<Arc<str>> {
        let moved = self.volumes.get(name).is_some_and(|node| **node != *volume.spec.node);
        let before = moved.then(|| self.remove_volume(name)).flatten();
        let node = self.intern_node(&volume.spec.node);
        if let Some(node) = self.nodes.get_mut(&node) {
            node.put_volume(name, volume);
        }
        self.volumes.insert(name.into(), node.clone());
        before.into_iter().chain([node]).collect()
    }

    /// A volume is gone. Returns the node that it was on.
    pub fn remove_volume(&mut self, name: &str) -> Option<Arc<str>> {
        let name_of_node = self.volumes.remove(name)?;
        if let Some(node) = self.nodes.get_mut(&name_of_node) {
            node.remove_volume(name);
        }
        self.drop_unknown(&name_of_node);
        Some(name_of_node)
    }

    /// The volumes that are not in `listed`.
    #[must_use]
    pub fn volumes_not_in(&self, listed: &HashSet<ObjectKey>) -> Vec<ObjectKey> {
        not_in(listed, self.volumes.keys().map(AsRef::as_ref))
    }

    /// A claim came or changed. Returns the one of the same name that it replaces, if that was another.
    pub fn put_claim(&mut self, key: &ObjectKey, claim: Claim) -> Option<Claim> {
        let (uid, is_bound) = (claim.uid.clone(), claim.persistent_volume.is_some());
        let taken = claim.volume_not_made_for_it().map(Into::into);
        let before = self.claims.insert(key.clone(), claim);
        if let Some(before) = &before {
            self.gives_back(before);
        }
        self.taken_volumes.extend(taken.map(|volume| (volume, uid.clone())));
        let other = before.filter(|before| before.uid != uid);
        if let Some(other) = &other {
            self.unbound.remove(&other.uid);
        }
        if is_bound {
            self.unbound.remove(&uid);
        } else {
            self.unbound.insert(uid, key.clone());
        }
        other
    }

    /// A claim is gone. Returns what was known of it.
    pub fn remove_claim(&mut self, key: &ObjectKey) -> Option<Claim> {
        let claim = self.claims.remove(key)?;
        self.unbound.remove(&claim.uid);
        self.gives_back(&claim);
        Some(claim)
    }

    /// A claim does not take the volume any more that it was bound to.
    fn gives_back(&mut self, claim: &Claim) {
        let taken = claim.volume_not_made_for_it();
        if let Some(volume) = taken.filter(|volume| self.taken_volumes.get(*volume) == Some(&claim.uid)) {
            self.taken_volumes.remove(volume);
        }
    }

    /// The claims that are not in `listed`.
    #[must_use]
    pub fn claims_not_in(&self, listed: &HashSet<ObjectKey>) -> Vec<ObjectKey> {
        let gone = self.claims.keys().filter(|key| !listed.contains(key));
        gone.cloned().collect()
    }

    /// A pod without a node came or changed. Returns the one of the same name that it replaces, if that was another.
    pub fn put_pod(&mut self, key: &ObjectKey, pod: Pod) -> Option<Pod> {
        if pod.claims().is_empty() {
            return self.pods.remove(key);
        }
        let uid = pod.uid.clone();
        let before = self.pods.insert(key.clone(), pod);
        before.filter(|before| before.uid != uid)
    }

    /// A pod is gone, or has a node. Returns what was known of it.
    pub fn remove_pod(&mut self, key: &ObjectKey) -> Option<Pod> {
        self.pods.remove(key)
    }

    /// The pods that are not in `listed`.
    #[must_use]
    pub fn pods_not_in(&self, listed: &HashSet<ObjectKey>) -> Vec<ObjectKey> {
        let gone = self.pods.keys().filter(|key| !listed.contains(key));
        gone.cloned().collect()
    }

    /// A `PersistentVolume` came or changed; none if it is foreign.
    pub fn put_persistent_volume(&mut self, name: &str, volume: Option<VolumeOfOurs>) {
        if let Some(volume) = volume {
            self.persistent_volumes.insert(name.into(), volume);
        } else {
            self.persistent_volumes.remove(name);
        }
    }

    /// A `PersistentVolume` is available now; none if no claim can be bound to it. Returns whether that makes a difference.
    pub fn put_available_volume(&mut self, name: &str, volume: Option<AvailableVolume>) -> bool {
        let before = match volume {
            Some(volume) => self.available_volumes.insert(name.into(), volume),
            None => self.available_volumes.remove(name),
        };
        before.as_ref() != self.available_volumes.get(name)
    }

    /// Drops the `PersistentVolumes` that are not in `listed`.
    pub fn retain_persistent_volumes(&mut self, listed: &HashSet<ObjectKey>) {
        let keep = |name: &str| listed.contains(&ObjectKey::new("", name));
        self.persistent_volumes.retain(|name, _| keep(name));
        self.available_volumes.retain(|name, _| keep(name));
    }

    /// A class came or changed; none if it is gone. Returns whether that makes a difference.
    pub fn put_class(&mut self, name: &str, class: Option<Class>) -> bool {
        let before = match class {
            Some(class) => self.classes.insert(name.into(), class),
            None => self.classes.remove(name),
        };
        before.as_ref() != self.classes.get(name)
    }

    /// The classes that are not in `listed`.
    #[must_use]
    pub fn classes_not_in(&self, listed: &HashSet<ObjectKey>) -> Vec<ObjectKey> {
        not_in(listed, self.classes.keys().map(AsRef::as_ref))
    }

    /// A CSINode came or changed. Returns whether that makes a difference.
    pub fn put_csi_node(&mut self, csi_node: &CSINode) -> bool {
        self.driverless.put(csi_node)
    }

    /// A CSINode is gone. Returns whether that makes a difference.
    pub fn remove_csi_node(&mut self, node: &str) -> bool {
        self.driverless.remove(node)
    }

    /// The nodes without a driver that are not in `listed`.
    #[must_use]
    pub fn driverless_nodes_not_in(&self, listed: &HashSet<ObjectKey>) -> Vec<ObjectKey> {
        self.driverless.not_in(listed)
    }

    /// The one copy of the name of a node, which is known from now on.
    fn intern_node(&mut self, node: &str) -> Arc<str> {
        if let Some((name, _)) = self.nodes.get_key_value(node) {
            return name.clone();
        }
        let name: Arc<str> = node.into();
        self.nodes.entry(name.clone()).or_default();
        name
    }

    fn drop_unknown(&mut self, node: &str) {
        if self.nodes.get(node).is_some_and(super::ReportedNode::is_unknown) {
            self.nodes.remove(node);
        }
    }
}

/// Of the `names` of objects without a namespace, those that are not in `listed`.
fn not_in<'a>(listed: &HashSet<ObjectKey>, names: impl Iterator<Item = &'a str>) -> Vec<ObjectKey> {
    let keys = names.map(|name| ObjectKey::new("", name));
    keys.filter(|key| !listed.contains(key)).collect()
}
