//! What the operator knows of the cluster: a synchronous index, fed by one pump for each watch.
//!
//! Everything that is decided is decided from here, without waiting.

mod capacities;
mod class;
mod kept;
pub mod pump;
mod shared;
mod store;
mod version;
mod volumes;

use std::collections::BTreeSet;

pub use class::{Asks, Class, ClassError};
pub use kept::Kept;
pub use shared::{Assumption, SharedIndex};

use crds::{PmemNode, PmemNodeStatus, PmemVolume};
use placement::Node;

use crate::capacity::Published;
use capacities::Capacities;
use store::Store;
use volumes::Volumes;

/// `PmemNodes`, `PmemVolumes`, `StorageClasses` of our provisioner, and our CSIStorageCapacity objects.
///
/// It is `synced` once each kind has been listed completely. Until then, that something is missing means nothing.
#[derive(Debug, Default)]
pub struct Index {
    nodes: Store<PmemNode>,
    volumes: Volumes,
    classes: Store<Class>,
    capacities: Capacities,
    /// Nodes whose CSIStorageCapacity objects may not be what they should.
    dirty: BTreeSet<String>,
}

impl Index {
    /// Whether everything has been listed.
    #[must_use]
    pub fn synced(&self) -> bool {
        self.nodes.synced() && self.volumes.synced() && self.classes.synced() && self.capacities.synced()
    }

    /// Takes in an object that was added or changed.
    pub fn apply<K: Kept>(&mut self, object: K) {
        object.apply(self);
    }

    /// Takes in that an object is gone.
    pub fn delete<K: Kept>(&mut self, object: &K) {
        object.delete(self);
    }

    /// Takes in a complete list: what is not in it does not exist.
    pub fn reset<K: Kept>(&mut self, objects: Vec<K>) {
        K::reset(self, objects);
    }

    /// The free space of a node at this moment: pending volumes and those being written are subtracted.
    #[must_use]
    pub fn free_space(&self, node: &str) -> Option<Node> {
        let status = self.node_status(node)?;
        Some(crds::free_space(status, self.volumes.of_node(node)))
    }

    /// Names of all `PmemNodes`.
    pub fn node_names(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|(name, _)| name.as_str())
    }

    /// Uid of a PmemNode.
    #[must_use]
    pub fn node_uid(&self, node: &str) -> Option<&str> {
        self.nodes.get(node)?.metadata.uid.as_deref()
    }

    /// The volume of that name, if the watch has shown it.
    #[must_use]
    pub fn volume(&self, name: &str) -> Option<&PmemVolume> {
        self.volumes.get(name)
    }

    /// The volume of that name, if the watch has shown it or it is being written at this moment.
    #[must_use]
    pub fn newest_volume(&self, name: &str) -> Option<&PmemVolume> {
        self.volumes.newest(name)
    }

    /// What a node published.
    #[must_use]
    pub fn node_status(&self, node: &str) -> Option<&PmemNodeStatus> {
        self.nodes.get(node)?.status.as_ref()
    }

    /// All volumes that the watch has shown, by name.
    pub fn volumes(&self) -> impl Iterator<Item = &PmemVolume> {
        self.volumes.iter()
    }

    /// The StorageClass of that name, if its provisioner is ours.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<&Class> {
        self.classes.get(name)
    }

    /// `StorageClasses` that can be understood, by name.
    pub fn valid_classes(&self) -> impl Iterator<Item = (&str, &Asks)> {
        self.classes
            .iter()
            .filter_map(|(name, class)| Some((name.as_str(), class.asks.as_ref().ok()?)))
    }

    /// `StorageClasses` that cannot be understood: name, uid, why.
    pub fn invalid_classes(&self) -> impl Iterator<Item = (&str, &str, &ClassError)> {
        self.classes
            .iter()
            .filter_map(|(name, class)| Some((name.as_str(), class.uid.as_str(), class.asks.as_ref().err()?)))
    }

    /// Our CSIStorageCapacity objects about a node.
    pub fn capacities<'a>(&'a self, node: &'a str) -> impl Iterator<Item = (&'a String, &'a Published)> {
        self.capacities.of_node(node)
    }

    /// Whether CSIStorageCapacity objects may have to be written.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.synced() && !self.dirty.is_empty()
    }

    /// The nodes whose CSIStorageCapacity objects may not be what they should; none before everything is listed.
    pub fn take_dirty(&mut self) -> BTreeSet<String> {
        if self.synced() {
            std::mem::take(&mut self.dirty)
        } else {
            BTreeSet::new()
        }
    }

    /// Look at these nodes again.
    pub fn mark_dirty(&mut self, nodes: impl IntoIterator<Item = String>) {
        self.dirty.extend(nodes);
    }

    /// Takes in a CSIStorageCapacity object that was just written.
    pub fn capacity_written(&mut self, name: String, object: Published) {
        self.capacities.apply(name, object);
    }

    /// Takes in that a CSIStorageCapacity object was just deleted: its node may need another in its place.
    pub fn capacity_deleted(&mut self, name: &str) {
        let node = self.capacities.delete(name);
        self.mark_dirty(node);
    }

    /// Takes in an answer of the API server about a volume, unless the watch has shown something newer.
    pub fn refresh_volume(&mut self, name: &str, volume: PmemVolume) {
        let nodes = self.volumes.refresh(name, volume);
        self.mark_dirty(nodes);
    }

    /// A volume is being written: its space is taken from now on.
    fn assume(&mut self, name: String, volume: PmemVolume) {
        let node = self.volumes.assume(name, volume);
        self.mark_dirty([node]);
    }

    fn give_up(&mut self, name: &str) {
        let node = self.volumes.give_up(name);
        self.mark_dirty(node);
    }

    fn mark_all_dirty(&mut self) {
        let known = self.nodes.iter().map(|(name, _)| name);
        let nodes: Vec<String> = known.chain(self.capacities.nodes()).cloned().collect();
        self.dirty.extend(nodes);
    }
}
