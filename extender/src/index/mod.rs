//! What the cluster shows, in memory: only what a decision needs is kept of each object.
//!
//! Everything here is synchronous and knows nothing of what was decided; [`State`](crate::state::State) feeds it from
//! watches and keeps the ledger beside it.

mod reported_node;
mod update;

use std::collections::HashMap;
use std::sync::Arc;

use cluster::{
    AvailableVolume, Claim, Class, DriverlessNodes, Lookup, NotIndexed, ObjectKey, Pod, VolumeOfOurs, VolumePlace,
};
use crds::PmemVolume;
use placement::NumaNode;

pub use reported_node::ReportedNode;

/// What the cluster shows.
#[derive(Debug, Default)]
pub struct Index {
    /// The nodes that reported something or have volumes.
    nodes: HashMap<Arc<str>, ReportedNode>,
    /// The node of each volume.
    volumes: HashMap<Box<str>, Arc<str>>,
    claims: HashMap<ObjectKey, Claim>,
    /// Volumes of ours only, by the name of the `PersistentVolume`.
    persistent_volumes: HashMap<Box<str>, VolumeOfOurs>,
    /// Whoever's they are, by name.
    available_volumes: HashMap<Box<str>, AvailableVolume>,
    /// The `PersistentVolumes` that claims are bound to for which they were not made, with the unique id of the claim.
    taken_volumes: HashMap<Box<str>, Box<str>>,
    classes: HashMap<Box<str>, Class>,
    /// The claims that are not bound, by unique id.
    unbound: HashMap<Box<str>, ObjectKey>,
    /// The pods with claims that have no node.
    pods: HashMap<ObjectKey, Pod>,
    driverless: DriverlessNodes,
}

impl Index {
    /// What a node reported, and its volumes; none if it never reported anything, or has no driver, or a silent one.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&ReportedNode> {
        let reported = self.nodes.get(name).filter(|node| node.reports());
        reported.filter(|_| !self.driverless.contains(name))
    }

    /// The claim of this unique id, if it is not bound.
    #[must_use]
    pub fn unbound_claim(&self, uid: &str) -> Option<(&ObjectKey, &Claim)> {
        let key = self.unbound.get(uid)?;
        Some((key, self.claims.get(key)?))
    }

    /// The claims of a class that are not bound.
    pub fn unbound_claims_of_class(&self, class: &str) -> impl Iterator<Item = &ObjectKey> {
        let is_of_class = move |key: &&ObjectKey| {
            let claim = self.claims.get(*key);
            claim.is_some_and(|claim| claim.class.as_deref() == Some(class))
        };
        self.unbound.values().filter(is_of_class)
    }

    /// A pod that has claims and no node.
    #[must_use]
    pub fn pod(&self, key: &ObjectKey) -> Option<&Pod> {
        self.pods.get(key)
    }

    /// The pods that have claims and no node, in no particular order.
    pub fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.pods.values()
    }

    /// The pods without a node that name one and have this claim.
    #[must_use]
    pub fn nominated_pods_with(&self, claim: &ObjectKey) -> Vec<ObjectKey> {
        let having = self
            .nominated_pods()
            .filter(|(_, pod)| pod.claims().iter().any(|of| of.key == *claim));
        having.map(|(key, _)| key.clone()).collect()
    }

    /// Whether there is a PmemVolume of that name.
    #[must_use]
    pub fn has_volume(&self, name: &str) -> bool {
        self.volumes.contains_key(name)
    }

    /// The node that a `PersistentVolume` of ours is on.
    #[must_use]
    pub fn node_of_persistent_volume(&self, name: &str) -> Option<&str> {
        let volume = self.persistent_volumes.get(name)?;
        let by_volume = self.volumes.get(&volume.handle).map(AsRef::as_ref);
        by_volume.or(volume.node.as_deref())
    }

    /// The `PersistentVolumes` that claims can be bound to, whoever's they are. Claims may show earlier than volumes that they are bound.
    pub fn available_volumes(&self) -> impl Iterator<Item = &AvailableVolume> {
        let volumes = self.available_volumes.values();
        volumes.filter(|volume| !self.taken_volumes.contains_key(&volume.name))
    }

    /// The pods without a node that name one.
    pub fn nominated_pods(&self) -> impl Iterator<Item = (&ObjectKey, &Pod)> {
        self.pods.iter().filter(|(_, pod)| pod.nominated_node.is_some())
    }

    /// The node that is making, or has made, the PmemVolume of that name: neither refused nor being deleted.
    #[must_use]
    pub fn node_making(&self, volume: &str) -> Option<&Arc<str>> {
        let node = self.volumes.get(volume)?;
        self.nodes.get(node)?.makes(volume).then_some(node)
    }
}

impl Lookup for Index {
    fn claim(&self, key: &ObjectKey) -> Result<Option<&Claim>, NotIndexed> {
        let claim = self.claims.get(key);
        claim.map(Some).ok_or_else(|| NotIndexed::Claim(key.clone()))
    }

    fn class(&self, name: &str) -> Result<Option<&Class>, NotIndexed> {
        let class = self.classes.get(name);
        class.map(Some).ok_or_else(|| NotIndexed::Class(name.into()))
    }

    fn bound_volume(&self, persistent_volume: &str) -> Option<VolumePlace<'_>> {
        let handle = &self.persistent_volumes.get(persistent_volume)?.handle;
        let on = self.volumes.get(handle).and_then(|node| self.nodes.get(node));
        Some(VolumePlace {
            node: self.node_of_persistent_volume(persistent_volume)?,
            numa: on.and_then(|node| node.numa_of(handle)),
        })
    }

    fn volume(&self, name: &str) -> Option<VolumePlace<'_>> {
        let node = self.node_making(name)?;
        Some(VolumePlace {
            node,
            numa: self.nodes.get(node)?.numa_of(name),
        })
    }

    fn knows_volume(&self, name: &str) -> Result<(), NotIndexed> {
        let is_shown = self.volumes.contains_key(name);
        is_shown.then_some(()).ok_or_else(|| NotIndexed::Volume(name.into()))
    }

    fn numa_of(&self, volume: &PmemVolume) -> Option<NumaNode> {
        self.nodes.get(&*volume.spec.node)?.numa_for(&volume.into())
    }
}
