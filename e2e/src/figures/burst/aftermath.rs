//! What is left when nothing moves any more: which pods have no node, and whether they could have one.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use cluster::{
    Claim, ClaimStage, Class, Lookup, NotIndexed, ObjectKey, Requirements, SpaceRequirements, VolumePlace, VolumeSpace,
    requirements_of,
};
use crds::{PmemNode, PmemNodeStatus, PmemVolume};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use placement::{Bytes, Node, NumaNode};

use super::demand::share;
use crate::harness::hollow::pods::NAMESPACE;

/// All objects that matter, at one moment.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub(super) nodes: Vec<PmemNode>,
    pub(super) volumes: Vec<PmemVolume>,
    pub(super) pods: Vec<Pod>,
    pub(super) claims: Vec<PersistentVolumeClaim>,
    pub(super) classes: Vec<StorageClass>,
}

/// How the pods fared.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Aftermath {
    /// Pods with a node.
    pub(super) placed: usize,
    /// Pods without.
    pub(super) unplaced: usize,
    /// Of these, the ones that hold at least one volume, which nobody can use.
    pub(super) with_volumes: usize,
    /// Of those without a node, the ones that fit on a node with all that they have no volume for yet.
    pub(super) that_fit: Vec<String>,
    /// Volumes that exist.
    pub(super) volumes: usize,
    /// Raw bytes in namespaces, as a share of all raw bytes.
    pub(super) used: f64,
}

impl Objects {
    /// Asks the API server for all of them.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) async fn list(client: &Client) -> Result<Self> {
        let all = ListParams::default();
        let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), NAMESPACE);
        Ok(Self {
            nodes: Api::all(client.clone()).list(&all).await?.items,
            volumes: Api::all(client.clone()).list(&all).await?.items,
            pods: pods.list(&all).await?.items,
            claims: claims.list(&all).await?.items,
            classes: Api::all(client.clone()).list(&all).await?.items,
        })
    }

    /// What became of the pods.
    ///
    /// # Errors
    /// A claim or its class does not exist, or is not as it should be.
    pub(super) fn aftermath(&self) -> Result<Aftermath> {
        let indexed = IndexedObjects::of(self);
        let unplaced: Vec<&Pod> = self.pods.iter().filter(|pod| node_name(pod).is_none()).collect();
        let required: Vec<(&Pod, SpaceRequirements)> = unplaced
            .iter()
            .map(|pod| Ok((*pod, indexed.required_by(pod)?)))
            .collect::<Result<_>>()?;
        let fitting = required.iter().filter(|(_, required)| indexed.some_node_has(required));
        Ok(Aftermath {
            placed: self.pods.len() - unplaced.len(),
            unplaced: unplaced.len(),
            with_volumes: required
                .iter()
                .filter(|(_, required)| nodes_of_volumes(required).next().is_some())
                .count(),
            that_fit: fitting.map(|(pod, _)| pod.name_any()).collect(),
            volumes: self.volumes.len(),
            used: self.used(),
        })
    }

    fn used(&self) -> f64 {
        let totals = || self.nodes.iter().filter_map(|node| Some(&node.status.as_ref()?.totals));
        let size: Bytes = totals().map(|totals| totals.size).sum();
        let free: Bytes = totals().map(|totals| totals.free).sum();
        share(size.minus(free), size)
    }
}

/// The objects, so that they can be looked up.
struct IndexedObjects<'a> {
    /// The free space of each node.
    free: BTreeMap<String, Node>,
    nodes: BTreeMap<String, &'a PmemNodeStatus>,
    claims: BTreeMap<ObjectKey, Claim>,
    classes: BTreeMap<String, Class>,
    volumes: BTreeMap<&'a str, &'a PmemVolume>,
}

impl<'a> IndexedObjects<'a> {
    fn of(objects: &'a Objects) -> Self {
        let name = |volume: &'a PmemVolume| Some((volume.metadata.name.as_deref()?, volume));
        let status = |node: &'a PmemNode| Some((node.name_any(), node.status.as_ref()?));
        Self {
            nodes: objects.nodes.iter().filter_map(status).collect(),
            free: objects
                .nodes
                .iter()
                .filter_map(|node| objects.free_space(node))
                .collect(),
            claims: objects
                .claims
                .iter()
                .map(|claim| (ObjectKey::of(claim), claim.into()))
                .collect(),
            classes: objects
                .classes
                .iter()
                .map(|class| (class.name_any(), class.into()))
                .collect(),
            volumes: objects.volumes.iter().filter_map(name).collect(),
        }
    }

    fn required_by(&self, pod: &Pod) -> Result<SpaceRequirements> {
        match requirements_of(&pod.into(), self) {
            Ok(Requirements::Nothing) => Ok(SpaceRequirements::default()),
            Ok(Requirements::Space(space)) => Ok(space),
            Ok(Requirements::Impossible(impossible)) => bail!("pod {}: {impossible}", pod.name_any()),
            Err(missing) => bail!("pod {}: there is no {missing:?}", pod.name_any()),
        }
    }

    /// Whether a node would hold the pod, whatever the order in which its volumes come to be created. A node that was
    /// chosen for a claim does not count: without a volume, another one can be chosen.
    fn some_node_has(&self, required: &SpaceRequirements) -> bool {
        let allowed = |node: &str| nodes_of_volumes(required).all(|other| other == node);
        let mut candidates = self.free.iter().filter(|(node, _)| allowed(node));
        let requests = required.requests();
        candidates.any(|(_, free)| free.fits(&requests).is_ok())
    }
}

impl Objects {
    fn free_space(&self, node: &PmemNode) -> Option<(String, Node)> {
        let name = node.name_any();
        let here = self.volumes.iter().filter(|volume| volume.spec.node == name);
        let free = cluster::free_space(node.status.as_ref()?, here);
        Some((name, free))
    }
}

impl Lookup for IndexedObjects<'_> {
    fn claim(&self, key: &ObjectKey) -> Result<Option<&Claim>, NotIndexed> {
        Ok(self.claims.get(key))
    }

    fn class(&self, name: &str) -> Result<Option<&Class>, NotIndexed> {
        self.classes
            .get(name)
            .map(Some)
            .ok_or_else(|| NotIndexed::Class(name.into()))
    }

    /// external-provisioner gives the `PersistentVolume` the name of the volume.
    fn bound_volume(&self, persistent_volume: &str) -> Option<VolumePlace<'_>> {
        self.volume(persistent_volume)
    }

    fn volume(&self, name: &str) -> Option<VolumePlace<'_>> {
        let volume = self.volumes.get(name)?;
        let (space, status) = (VolumeSpace::from(*volume), self.nodes.get(&volume.spec.node));
        space.stays().then(|| VolumePlace {
            node: &volume.spec.node,
            numa: status.and_then(|status| space.numa(status)),
        })
    }

    fn knows_volume(&self, _: &str) -> Result<(), NotIndexed> {
        Ok(())
    }

    fn numa_of(&self, volume: &PmemVolume) -> Option<NumaNode> {
        VolumeSpace::from(volume).numa(self.nodes.get(&volume.spec.node)?)
    }
}

fn nodes_of_volumes(required: &SpaceRequirements) -> impl Iterator<Item = &str> {
    let there = required
        .nodes
        .iter()
        .filter(|claim| claim.stage != ClaimStage::Selected);
    there.map(|claim| &*claim.node)
}

fn node_name(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

#[cfg(test)]
mod tests;
