//! The NUMA node of a volume whose class wishes it together with the other volumes of its pod.

use std::collections::{BTreeMap, BTreeSet};

use crds::{NumaChoice, PmemNodeStatus};
use placement::{Apart, Node, NumaNode, NumaWish, Refusal, VolumeRequest, together_with};

use crate::VolumeSpace;

/// What is around a volume that has to be together with others. Nothing, for one that no pod waits for: that one may be
/// anywhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Companions {
    /// Where those of its companions are that have a volume: not refused, not deleted.
    pub volumes: Vec<CompanionPlace>,
    /// For each pod that waits for the volume, what the pod's other claims without a volume ask for, whatever their NUMA
    /// wish, by the name of the volume that each will have. Pods can share claims.
    pub pods: Vec<BTreeMap<String, VolumeRequest>>,
}

/// Where a companion's volume is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompanionPlace {
    /// On this NUMA node, or it has to be there.
    On(NumaNode),
    /// In a region whose platform does not tell: nothing can be said to be together with that.
    Untold,
    /// The volume of this name has no region yet and may get any.
    NotYet(String),
    /// On another node than the one in question.
    Elsewhere {
        /// The name of the volume.
        volume: String,
        /// Its node.
        node: String,
    },
}

/// Why there is no NUMA node on a node for a volume.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoNumaNode {
    /// There is no space for it, alone or together with the other claims of its pod.
    #[error(transparent)]
    Space(#[from] Refusal),
    /// Its companions are not on one NUMA node themselves.
    #[error(transparent)]
    Apart(#[from] Apart),
    /// One of its companions has no region yet.
    #[error("volume {0}, with which it has to be on one NUMA node, has no region that is known yet: try again")]
    NotYet(String),
    /// One of its companions is on another node, so no pod could use both.
    #[error("volume {volume}, with which it has to be on one NUMA node, is on node {node}")]
    Elsewhere {
        /// The name of the volume.
        volume: String,
        /// Its node.
        node: String,
    },
}

impl CompanionPlace {
    /// Where the volume `name` is, by what its node reported.
    #[must_use]
    pub fn of(name: &str, volume: &VolumeSpace, status: Option<&PmemNodeStatus>) -> Self {
        match status.and_then(|status| volume.numa(status)) {
            Some(numa) => Self::On(numa),
            None if volume.pending().region.is_some() => Self::Untold,
            None => Self::NotYet(name.into()),
        }
    }
}

impl Companions {
    /// The NUMA node where those are that have a volume.
    ///
    /// # Errors
    /// They are not on one, or not on this node, or nobody knows yet.
    pub fn numa(&self) -> Result<Option<NumaNode>, NoNumaNode> {
        let numa = |place: &CompanionPlace| match place {
            CompanionPlace::On(numa) => Some(Ok(*numa)),
            CompanionPlace::Untold => None,
            CompanionPlace::NotYet(name) => Some(Err(NoNumaNode::NotYet(name.clone()))),
            CompanionPlace::Elsewhere { volume, node } => Some(Err(NoNumaNode::Elsewhere {
                volume: volume.clone(),
                node: node.clone(),
            })),
        };
        let on: Result<BTreeSet<NumaNode>, _> = self.volumes.iter().filter_map(numa).collect();
        Ok(together_with(on?)?)
    }
}

/// The NUMA node that a volume with `request` gets on a node with this much `free` space, so that all companions come to
/// be on one: the one where those are that exist, else one on which all that its pods still ask for fits together.
///
/// A wish other than `together` is the answer itself.
///
/// # Errors
/// There is no such NUMA node, or not yet.
pub fn choose_numa(request: VolumeRequest, free: &Node, companions: &Companions) -> Result<NumaChoice, NoNumaNode> {
    match request.numa {
        NumaWish::Any => Ok(NumaChoice::Any),
        NumaWish::Node(numa) => Ok(NumaChoice::Node(numa)),
        // Where the platform does not tell, all regions count as being on the same one.
        NumaWish::Together if free.regions.iter().all(|region| region.numa.is_none()) => Ok(NumaChoice::Any),
        NumaWish::Together => match companions.numa()? {
            Some(numa) => Ok(NumaChoice::Node(numa)),
            None => Ok(choose_for_first(request, free, &companions.pods)?),
        },
    }
}

/// Where all that the pods still ask for fits together. One of several pods that share the claim may ask for what no node
/// has, and wait for ever: it must not keep the others waiting.
fn choose_for_first(
    request: VolumeRequest,
    free: &Node,
    pods: &[BTreeMap<String, VolumeRequest>],
) -> Result<NumaChoice, Refusal> {
    let all: BTreeMap<&String, &VolumeRequest> = pods.iter().flatten().collect();
    let refusal = match choose_beside(request, all.into_values(), free) {
        Ok(numa) => return Ok(numa),
        Err(refusal) => refusal,
    };
    let each = pods.iter().filter(|_| pods.len() > 1);
    let mut each = each.map(|pod| choose_beside(request, pod.values(), free));
    each.find_map(Result::ok).ok_or(refusal)
}

/// Where `request` fits together with all of `others`, in every order of creation.
fn choose_beside<'a>(
    request: VolumeRequest,
    others: impl Iterator<Item = &'a VolumeRequest>,
    free: &Node,
) -> Result<NumaChoice, Refusal> {
    let requests: Vec<VolumeRequest> = [request].into_iter().chain(others.copied()).collect();
    let settled = free.settle(&requests)?;
    Ok(match settled.first().map(|request| request.numa) {
        Some(NumaWish::Node(numa)) => NumaChoice::Node(numa),
        Some(NumaWish::Any | NumaWish::Together) | None => NumaChoice::Any,
    })
}

#[cfg(test)]
mod tests;
