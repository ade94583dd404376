//! With which other volumes a new one has to be on one NUMA node, and which that is.

use std::collections::{BTreeMap, BTreeSet};

use crds::{NumaChoice, PmemNodeStatus, PmemVolume, VolumeSpace};
use placement::{Apart, Node, NumaNode, NumaWish, Refusal, VolumeRequest, together_with};

use crate::index::Index;

/// What is around a claim whose class wishes its volume together with the others of its pod.
///
/// Pods that share such a claim are in one company, with all their claims. It is empty for a claim without a pod: that
/// one may be anywhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Company {
    /// The volumes that the other claims of the company with that wish have or will have.
    pub together: BTreeSet<String>,
    /// Those of them that the API server knows, by name: the watch may not have shown them yet.
    pub read: BTreeMap<String, PmemVolume>,
    /// The other unbound claims of each pod that uses the claim, whatever they wish.
    pub pods: Vec<Vec<Member>>,
}

/// An unbound claim of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The name of the volume that it has or will have.
    pub volume: String,
    /// What it asks for.
    pub request: VolumeRequest,
}

/// Why a volume cannot be on a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It has no space there, alone or together with the other claims of its pod.
    #[error(transparent)]
    Space(#[from] Refusal),
    /// The volumes that it has to be together with are not on one NUMA node themselves.
    #[error(transparent)]
    Apart(#[from] Apart),
    /// A volume that it has to be together with has no region yet.
    #[error("volume {0}, with which it has to be on one NUMA node, has no region yet: try again")]
    NotYet(String),
}

impl Company {
    /// The NUMA node of `node` that a volume with `want` has to be on, for all of the company to be on one: the one where
    /// volumes of it are, else one on which all that its pods still ask for fits together. `view` is what is free.
    ///
    /// A wish other than `together` is settled already.
    ///
    /// # Errors
    /// If there is no such NUMA node.
    pub fn settle(&self, request: VolumeRequest, node: &str, view: &Node, index: &Index) -> Result<NumaChoice, Unfit> {
        match request.numa {
            NumaWish::Any => Ok(NumaChoice::Any),
            NumaWish::Node(numa) => Ok(NumaChoice::Node(numa)),
            // Where the platform does not tell, all regions count as being on the same one.
            NumaWish::Together if view.regions.iter().all(|region| region.numa.is_none()) => Ok(NumaChoice::Any),
            NumaWish::Together => self.settle_together(request, node, view, index),
        }
    }

    fn settle_together(
        &self,
        request: VolumeRequest,
        node: &str,
        view: &Node,
        index: &Index,
    ) -> Result<NumaChoice, Unfit> {
        match together_with(self.volumes_on(node, index)?)? {
            Some(numa) => Ok(NumaChoice::Node(numa)),
            None => self.settle_first(request, view, index),
        }
    }

    /// The NUMA nodes where volumes of the company are.
    fn volumes_on(&self, node: &str, index: &Index) -> Result<BTreeSet<NumaNode>, Unfit> {
        let status = index.node_status(node);
        let known = |name: &String| index.newest_volume(name).or_else(|| self.read.get(name));
        let volumes = self.together.iter().filter_map(known);
        let there = volumes.filter(|volume| volume.spec.node == node && stays(volume));
        there.filter_map(|volume| numa_of(volume, status)).collect()
    }

    /// Where all that the pods still ask for fits together. One of several pods that share the claim may ask for what
    /// no node has, and wait for ever: it must not keep the others waiting.
    fn settle_first(&self, request: VolumeRequest, view: &Node, index: &Index) -> Result<NumaChoice, Unfit> {
        let all: Vec<&Member> = self.pods.iter().flatten().collect();
        let first = match settle_beside(request, &all, view, index) {
            Ok(numa) => return Ok(numa),
            Err(refusal) => refusal,
        };
        let each = self.pods.iter().filter(|_| self.pods.len() > 1);
        let mut each = each.map(|pod| settle_beside(request, &pod.iter().collect::<Vec<_>>(), view, index));
        each.find_map(Result::ok).ok_or(Unfit::Space(first))
    }
}

/// Settles `want` so that it fits together with all of `others` that have no volume yet, in every order of creation.
fn settle_beside(
    request: VolumeRequest,
    others: &[&Member],
    view: &Node,
    index: &Index,
) -> Result<NumaChoice, Refusal> {
    let to_come: BTreeMap<&str, VolumeRequest> =
        others.iter().map(|member| (&*member.volume, member.request)).collect();
    let to_come = to_come
        .into_iter()
        .filter(|(name, _)| index.newest_volume(name).is_none());
    let requests: Vec<VolumeRequest> = [request]
        .into_iter()
        .chain(to_come.map(|(_, request)| request))
        .collect();
    let settled = view.settle(&requests)?;
    Ok(match settled.first().map(|request| request.numa) {
        Some(NumaWish::Node(numa)) => NumaChoice::Node(numa),
        Some(NumaWish::Any | NumaWish::Together) | None => NumaChoice::Any,
    })
}

/// Whether it is, or will be, a volume that can be used.
fn stays(volume: &PmemVolume) -> bool {
    volume.metadata.deletion_timestamp.is_none() && !VolumeSpace::from(volume).is_refused()
}

/// None for a volume in a region of which the platform does not tell: nothing can be said to be together with that.
fn numa_of(volume: &PmemVolume, status: Option<&PmemNodeStatus>) -> Option<Result<NumaNode, Unfit>> {
    let space = VolumeSpace::from(volume);
    match status.and_then(|status| space.numa(status)) {
        Some(numa) => Some(Ok(numa)),
        None if space.pending().region.is_some() => None,
        None => Some(Err(Unfit::NotYet(volume.metadata.name.clone().unwrap_or_default()))),
    }
}
