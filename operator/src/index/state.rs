//! The index: what is in it, and the questions that it answers.

use std::collections::{BTreeMap, BTreeSet};

use cluster::version::is_older;
use cluster::{Class, ClassSettings, DriverlessNodes, OurClass};
use crds::{PmemNode, PmemNodeStatus, PmemVolume};
use placement::Node;

use super::capacities::Capacities;
use super::nodes::{Nodes, OnDevice};
use super::persistent_volumes::{NamedVolume, PersistentVolumes};
use super::store::Store;
use super::volumes::Volumes;
use crate::capacity_object::PublishedCapacity;
use crate::kept_volumes::KeptPlace;

/// `PmemNodes`, `PmemVolumes`, `PersistentVolumes` of ours, `StorageClasses`, `CSINodes`, and our CSIStorageCapacity objects.
///
/// It is `synced` once each kind has been listed completely. Until then, that something is missing means nothing.
#[derive(Debug, Default)]
pub struct Index {
    pub(super) nodes: Nodes,
    pub(super) volumes: Volumes,
    pub(super) persistent_volumes: PersistentVolumes,
    pub(super) classes: Store<Class>,
    pub(super) capacities: Capacities,
    pub(super) driverless: DriverlessNodes,
    /// The nodes that have a CSINode, which goes with the Node.
    pub(super) csi_nodes: BTreeSet<String>,
    /// Whether the `CSINodes` were listed.
    pub(super) csi_nodes_synced: bool,
    /// Nodes whose CSIStorageCapacity objects may not be what they should.
    dirty: BTreeSet<String>,
}

impl Index {
    /// Whether the watch of each kind has completed a list.
    #[must_use]
    pub fn synced(&self) -> bool {
        let objects = self.nodes.synced() && self.volumes.synced() && self.persistent_volumes.synced();
        objects && self.classes.synced() && self.capacities.synced() && self.csi_nodes_synced
    }

    /// The free space of a node: pending and reserved volumes are subtracted. None if it has reported nothing.
    #[must_use]
    pub fn free_space(&self, node: &str) -> Option<Node> {
        let status = self.node_status(node)?;
        Some(cluster::free_space(status, self.volumes.of_node(node)))
    }

    /// Whether the node has a driver that makes volumes there: see [`DriverlessNodes`], and one that is not silent.
    #[must_use]
    pub fn has_driver(&self, node: &str) -> bool {
        !self.driverless.contains(node) && !self.is_silent(node)
    }

    /// Whether the driver of the node is silent.
    #[must_use]
    pub fn is_silent(&self, node: &str) -> bool {
        self.node_status(node).is_some_and(PmemNodeStatus::is_silent)
    }

    /// A node.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&PmemNode> {
        self.nodes.get(name)
    }

    /// The nodes that volumes were made for, and that make none now: without a driver, with a silent one, or without any report. None
    /// until all is listed.
    #[must_use]
    pub fn away_nodes(&self) -> BTreeSet<String> {
        if !self.synced() {
            return BTreeSet::new();
        }
        let reported = self.node_names().filter(|node| !self.has_driver(node));
        let with_volumes = self.volumes.node_names().filter(|node| self.node(node).is_none());
        reported.chain(with_volumes).map(Into::into).collect()
    }

    /// Whether what its node reports of the volume is of the past.
    #[must_use]
    pub fn is_of_the_past(&self, volume: &str) -> bool {
        self.nodes.is_of_the_past(volume)
    }

    /// The names of all `PmemNodes`.
    pub fn node_names(&self) -> impl Iterator<Item = &str> {
        self.nodes.names().map(String::as_str)
    }

    /// The uid of a PmemNode.
    #[must_use]
    pub fn node_uid(&self, node: &str) -> Option<&str> {
        self.nodes.get(node)?.metadata.uid.as_deref()
    }

    /// The volume of that name, if the watch has shown it.
    #[must_use]
    pub fn volume(&self, name: &str) -> Option<&PmemVolume> {
        self.volumes.get(name)
    }

    /// The volume of that name, if the watch has shown it or its space is reserved.
    #[must_use]
    pub fn newest_volume(&self, name: &str) -> Option<&PmemVolume> {
        self.volumes.newest(name)
    }

    /// What a node reported.
    #[must_use]
    pub fn node_status(&self, node: &str) -> Option<&PmemNodeStatus> {
        self.nodes.get(node)?.status.as_ref()
    }

    /// What the nodes report of the volume with this id, whether it has an object or not: one entry for each node, or for
    /// each namespace where it is kept.
    #[must_use]
    pub fn reports_of(&self, volume: &str) -> Vec<(&str, OnDevice<'_>)> {
        self.nodes.reports_of(volume)
    }

    /// The volumes that nodes keep because they have no PmemVolume, as the nodes last reported.
    pub fn kept_volumes(&self) -> impl Iterator<Item = KeptPlace<'_>> {
        self.nodes.kept()
    }

    /// The `PersistentVolume` of that name, if it is ours and the watch has shown it.
    #[must_use]
    pub fn persistent_volume(&self, name: &str) -> Option<&NamedVolume> {
        self.persistent_volumes.get(name)
    }

    /// The `PersistentVolume` of ours that the claim with this unique id is bound to, or about to be.
    #[must_use]
    pub fn persistent_volume_for(&self, claim: &str) -> Option<&NamedVolume> {
        self.persistent_volumes.of_claim(claim)
    }

    /// The `PersistentVolumes` that name the volume with this id.
    pub fn persistent_volumes_of<'a>(&'a self, volume: &str) -> impl Iterator<Item = &'a NamedVolume> {
        self.persistent_volumes.of_volume(volume)
    }

    /// All volumes that the watch has shown, by name.
    pub fn volumes(&self) -> impl Iterator<Item = &PmemVolume> {
        self.volumes.iter()
    }

    /// The volumes of a node that the watch has shown, by name.
    pub fn shown_volumes_of<'a>(&'a self, node: &str) -> impl Iterator<Item = (&'a String, &'a PmemVolume)> {
        self.volumes.shown_of_node(node)
    }

    /// What a node reports, as it was last shown.
    #[must_use]
    pub fn report(&self, node: &str) -> Option<&PmemNode> {
        self.nodes.get(node)
    }

    /// The StorageClass of that name, ours or not, if the watch has shown it.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<&Class> {
        self.classes.get(name)
    }

    /// The settings of the `StorageClasses` of ours that can be understood, by name.
    pub fn valid_classes(&self) -> impl Iterator<Item = (&str, &ClassSettings)> {
        self.our_classes()
            .filter_map(|(name, class)| Some((name, class.settings.as_ref().ok()?)))
    }

    /// The `StorageClasses` of ours, by name.
    pub fn our_classes(&self) -> impl Iterator<Item = (&str, &OurClass)> {
        let classes = self.classes.iter();
        classes.filter_map(|(name, class)| Some((name.as_str(), class.ours()?)))
    }

    /// Our CSIStorageCapacity objects for a node, by name.
    pub fn capacities<'a>(&'a self, node: &'a str) -> impl Iterator<Item = (&'a String, &'a PublishedCapacity)> {
        self.capacities.of_node(node)
    }

    /// Whether CSIStorageCapacity objects of other nodes than these may have to be written.
    #[must_use]
    pub fn is_dirty_beside(&self, nodes: &BTreeSet<String>) -> bool {
        self.synced() && self.dirty.difference(nodes).next().is_some()
    }

    /// At most `most` of the nodes whose CSIStorageCapacity objects may not be what they should, and which are not among `nodes`; none
    /// before everything is listed.
    pub fn take_dirty_beside(&mut self, nodes: &BTreeSet<String>, most: usize) -> BTreeSet<String> {
        if !self.synced() {
            return BTreeSet::new();
        }
        let taken: BTreeSet<String> = self.dirty.difference(nodes).take(most).cloned().collect();
        self.dirty.retain(|node| !taken.contains(node));
        taken
    }

    /// The CSIStorageCapacity objects of these nodes have to be compared again.
    pub fn mark_dirty(&mut self, nodes: impl IntoIterator<Item = String>) {
        self.dirty.extend(nodes);
    }

    /// Takes in a CSIStorageCapacity object that was just written.
    pub fn capacity_written(&mut self, name: String, object: PublishedCapacity) {
        self.capacities.apply_written(name, object);
    }

    /// Takes in that the CSIStorageCapacity object with this uid is gone: its node may need another in its place.
    pub fn capacity_ended(&mut self, name: &str, uid: &str) {
        let node = self.capacities.ended(name, uid);
        self.mark_dirty(node);
    }

    /// The versions of CSIStorageCapacity objects that writes returned and the watch has not shown yet, by name.
    #[must_use]
    pub fn unshown_capacities(&self) -> BTreeMap<String, u64> {
        self.capacities.unshown()
    }

    /// Those that the watch has still not shown in these versions or later are written again, whatever they say.
    pub fn doubt_capacities(&mut self, unshown: &BTreeMap<String, u64>) {
        let nodes = self.capacities.doubt(unshown);
        self.mark_dirty(nodes);
    }

    /// Whether the CSIStorageCapacity object of that name may be gone although it was written.
    #[must_use]
    pub fn is_capacity_doubted(&self, name: &str) -> bool {
        self.capacities.is_doubted(name)
    }

    /// Takes in a volume that the API server returned, unless the watch has shown a newer version.
    pub fn refresh_volume(&mut self, name: &str, volume: PmemVolume) {
        let nodes = self.volumes.refresh(name, volume);
        self.mark_dirty(nodes);
    }

    /// Takes in a PmemNode that the API server returned, unless the watch has shown a newer version, or its end: `was_shown` says
    /// whether it was known when the API server was asked.
    pub fn refresh_node(&mut self, node: PmemNode, was_shown: bool) {
        let name = node.metadata.name.clone().unwrap_or_default();
        let is_news = match self.nodes.get(&name) {
            Some(shown) => !is_older(&node.metadata, &shown.metadata),
            None => !was_shown,
        };
        if is_news {
            self.nodes.insert(name.clone(), node);
            self.mark_dirty([name]);
        }
    }

    pub(super) fn reserve(&mut self, name: String, volume: PmemVolume) {
        let node = self.volumes.reserve(name, volume);
        self.mark_dirty([node]);
    }

    /// A reserved volume was written: see [`Reservation::written`](super::Reservation::written).
    pub(super) fn reserved_is(&mut self, name: &str, volume: PmemVolume) {
        self.volumes.reserved_is(name, volume);
    }

    pub(super) fn release(&mut self, name: &str) {
        let node = self.volumes.release(name);
        self.mark_dirty(node);
    }

    pub(super) fn mark_all_dirty(&mut self) {
        let nodes: Vec<String> = self.nodes.names().chain(self.capacities.nodes()).cloned().collect();
        self.dirty.extend(nodes);
    }
}
