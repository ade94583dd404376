//! The volumes that have to be on one NUMA node with a new one, and which NUMA node that is.

use std::collections::{BTreeMap, BTreeSet};

use crds::{NumaChoice, PmemNodeStatus, PmemVolume, VolumeSpace};
use placement::{Apart, Node, NumaNode, NumaWish, Refusal, VolumeRequest, together_with};

use crate::index::Index;

/// The companions of a claim whose class wishes its volume together with the others of its pod.
///
/// The claims of all pods that share such a claim are companions of each other. There are none for a claim without a pod:
/// its volume may be anywhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Companions {
    /// The names of their volumes, also of those that do not exist yet.
    pub volumes: BTreeSet<String>,
    /// Those of these volumes that were read from the API server, by name: the watch had not shown them.
    pub read: BTreeMap<String, PmemVolume>,
    /// For each pod that uses the claim, its other unbound claims, whatever they wish.
    pub pods: Vec<Vec<UnboundClaim>>,
}

/// An unbound claim of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnboundClaim {
    /// The name that its volume has or will have.
    pub volume: String,
    /// The space that it takes on a node.
    pub request: VolumeRequest,
}

/// Why a volume cannot be on a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeRefusal {
    /// It has no space there, alone or together with the other claims of its pod.
    #[error(transparent)]
    Space(#[from] Refusal),
    /// Its companions are not on one NUMA node themselves.
    #[error(transparent)]
    Apart(#[from] Apart),
    /// A companion has no region yet.
    #[error("volume {0}, with which it has to be on one NUMA node, has no region yet: try again")]
    NotYet(String),
}

impl Companions {
    /// The NUMA node of `node` that a volume with `request` has to be on: the one where its companions are, else one on
    /// which all that their pods still ask for fits. `free` is the free space of the node.
    ///
    /// A wish other than `together` is settled already.
    ///
    /// # Errors
    /// If there is no such NUMA node.
    pub fn settle(
        &self,
        request: VolumeRequest,
        node: &str,
        free: &Node,
        index: &Index,
    ) -> Result<NumaChoice, NodeRefusal> {
        match request.numa {
            NumaWish::Any => Ok(NumaChoice::Any),
            NumaWish::Node(numa) => Ok(NumaChoice::Node(numa)),
            // Where the platform does not tell, all regions count as being on the same one.
            NumaWish::Together if free.regions.iter().all(|region| region.numa.is_none()) => Ok(NumaChoice::Any),
            NumaWish::Together => self.settle_together(request, node, free, index),
        }
    }

    fn settle_together(
        &self,
        request: VolumeRequest,
        node: &str,
        free: &Node,
        index: &Index,
    ) -> Result<NumaChoice, NodeRefusal> {
        match together_with(self.volumes_on(node, index)?)? {
            Some(numa) => Ok(NumaChoice::Node(numa)),
            None => self.settle_first(request, free, index),
        }
    }

    /// The NUMA nodes of `node` where companions are.
    fn volumes_on(&self, node: &str, index: &Index) -> Result<BTreeSet<NumaNode>, NodeRefusal> {
        let status = index.node_status(node);
        let volume = |name: &String| index.newest_volume(name).or_else(|| self.read.get(name));
        let volumes = self.volumes.iter().filter_map(volume);
        let there = volumes.filter(|volume| volume.spec.node == node && stays(volume));
        there.filter_map(|volume| numa_of(volume, status)).collect()
    }

    /// A NUMA node on which all that the pods still ask for fits, else one on which all of one pod does. One of several
    /// pods that share the claim may ask for what no node has, and wait for ever: it must not keep the others waiting.
    fn settle_first(&self, request: VolumeRequest, free: &Node, index: &Index) -> Result<NumaChoice, NodeRefusal> {
        let all: Vec<&UnboundClaim> = self.pods.iter().flatten().collect();
        let first = match settle_beside(request, &all, free, index) {
            Ok(numa) => return Ok(numa),
            Err(refusal) => refusal,
        };
        let each = self.pods.iter().filter(|_| self.pods.len() > 1);
        let mut each = each.map(|pod| settle_beside(request, &pod.iter().collect::<Vec<_>>(), free, index));
        each.find_map(Result::ok).ok_or(NodeRefusal::Space(first))
    }
}

/// A NUMA node on which `request` fits beside all of `others` that have no volume yet, in every order of creation.
fn settle_beside(
    request: VolumeRequest,
    others: &[&UnboundClaim],
    free: &Node,
    index: &Index,
) -> Result<NumaChoice, Refusal> {
    let to_come: BTreeMap<&str, VolumeRequest> = others.iter().map(|claim| (&*claim.volume, claim.request)).collect();
    let to_come = to_come
        .into_iter()
        .filter(|(name, _)| index.newest_volume(name).is_none());
    let requests: Vec<VolumeRequest> = [request]
        .into_iter()
        .chain(to_come.map(|(_, request)| request))
        .collect();
    let settled = free.settle(&requests)?;
    Ok(match settled.first().map(|request| request.numa) {
        Some(NumaWish::Node(numa)) => NumaChoice::Node(numa),
        Some(NumaWish::Any | NumaWish::Together) | None => NumaChoice::Any,
    })
}

/// Whether a volume is, or will be, one that can be used.
fn stays(volume: &PmemVolume) -> bool {
    volume.metadata.deletion_timestamp.is_none() && !VolumeSpace::from(volume).is_refused()
}

/// None for a volume in a region without a NUMA node: every region is as close to it as any other.
fn numa_of(volume: &PmemVolume, status: Option<&PmemNodeStatus>) -> Option<Result<NumaNode, NodeRefusal>> {
    let space = VolumeSpace::from(volume);
    match status.and_then(|status| space.numa(status)) {
        Some(numa) => Some(Ok(numa)),
        None if space.pending().region.is_some() => None,
        None => Some(Err(NodeRefusal::NotYet(
            volume.metadata.name.clone().unwrap_or_default(),
        ))),
    }
}
