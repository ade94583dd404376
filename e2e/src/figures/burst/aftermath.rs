//! What is left when nothing moves any more: which pods have no node, and whether they could have one.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use crds::{ClassParameters, PmemNode, PmemVolume, want_of_claim};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use placement::{Bytes, Node, VolumeRequest};

use super::demand::share;
use crate::figures::pods::NAMESPACE;

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
    /// An object is not as it should be.
    pub(super) fn aftermath(&self) -> Result<Aftermath> {
        let world = World::of(self)?;
        let unplaced: Vec<&Pod> = self.pods.iter().filter(|pod| node_name(pod).is_none()).collect();
        let needs: Vec<(&Pod, Need)> = unplaced
            .iter()
            .map(|pod| Ok((*pod, world.need(pod)?)))
            .collect::<Result<_>>()?;
        let fitting = needs.iter().filter(|(_, need)| world.fits(need));
        Ok(Aftermath {
            placed: self.pods.len() - unplaced.len(),
            unplaced: unplaced.len(),
            with_volumes: needs.iter().filter(|(_, need)| !need.pinned.is_empty()).count(),
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

/// What a pod still needs.
#[derive(Debug, Default)]
struct Need {
    /// The nodes that its volumes are on.
    pinned: BTreeSet<String>,
    /// The claims without a volume.
    requests: Vec<VolumeRequest>,
}

/// The objects, so that they can be looked up.
struct World<'a> {
    /// The free space that each node has published, without volumes that are not in there yet.
    free: BTreeMap<String, Node>,
    claims: BTreeMap<String, &'a PersistentVolumeClaim>,
    /// The node of the volume of each claim.
    nodes_of_claims: BTreeMap<&'a str, &'a str>,
    classes: BTreeMap<String, ClassParameters>,
}

impl<'a> World<'a> {
    fn of(objects: &'a Objects) -> Result<Self> {
        let mut by_node: BTreeMap<&str, Vec<&PmemVolume>> = BTreeMap::new();
        for volume in &objects.volumes {
            by_node.entry(&volume.spec.node).or_default().push(volume);
        }
        let free = |node: &PmemNode| {
            let here = by_node.get(node.name_any().as_str()).cloned().unwrap_or_default();
            Some((node.name_any(), crds::free_space(node.status.as_ref()?, here)))
        };
        let of_claim =
            |volume: &'a PmemVolume| Some((volume.spec.claim.as_ref()?.name.as_str(), volume.spec.node.as_str()));
        let parameters = |class: &StorageClass| {
            let none = BTreeMap::new();
            Ok((
                class.name_any(),
                ClassParameters::parse(class.parameters.as_ref().unwrap_or(&none))?,
            ))
        };
        Ok(Self {
            free: objects.nodes.iter().filter_map(free).collect(),
            claims: objects.claims.iter().map(|claim| (claim.name_any(), claim)).collect(),
            nodes_of_claims: objects.volumes.iter().filter_map(of_claim).collect(),
            classes: objects.classes.iter().map(parameters).collect::<Result<_>>()?,
        })
    }

    fn need(&self, pod: &Pod) -> Result<Need> {
        let mut need = Need::default();
        for claim in claims_of(pod) {
            match self.nodes_of_claims.get(claim) {
                Some(node) => drop(need.pinned.insert((*node).to_owned())),
                None => need.requests.push(self.request(claim)?),
            }
        }
        Ok(need)
    }

    fn request(&self, name: &str) -> Result<VolumeRequest> {
        let claim = self
            .claims
            .get(name)
            .with_context(|| format!("there is no claim {name}"))?;
        let spec = claim
            .spec
            .as_ref()
            .with_context(|| format!("claim {name} asks for nothing"))?;
        let class = spec.storage_class_name.as_deref().unwrap_or_default();
        let class = self
            .classes
            .get(class)
            .with_context(|| format!("there is no class {class:?}"))?;
        Ok(want_of_claim(spec, class)?)
    }

    /// Whether a node would hold the pod, whatever the order in which its volumes come to be created.
    fn fits(&self, need: &Need) -> bool {
        let allowed = |node: &String| need.pinned.iter().all(|pinned| pinned == node);
        let candidates = self.free.iter().filter(|(node, _)| allowed(node));
        candidates
            .into_iter()
            .any(|(_, free)| free.fits(&need.requests).is_ok())
    }
}

fn node_name(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

fn claims_of(pod: &Pod) -> impl Iterator<Item = &str> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.filter_map(|volume| Some(volume.persistent_volume_claim.as_ref()?.claim_name.as_str()))
}

#[cfg(test)]
mod tests;
