//! The node that a volume fits best.

use std::collections::BTreeSet;

use cluster::{NoNumaNode, choose_numa};
use crds::NumaChoice;
use placement::{Bytes, Cost, Node, Policy, Refusal, VolumeRequest};
use tonic::Code;

use super::companions::CompanionClaims;
use crate::controller::request::AllowedNodes;
use crate::index::Index;

/// Why a volume fits on none of the nodes that it may be on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChooseError {
    /// None of them reports persistent memory and has a driver.
    #[error("{} reported persistent memory with a driver that answers: see \"kubectl get pmemnodes\", and whether the node driver runs", none_of(.0))]
    NoNodes(BTreeSet<String>),
    /// There is one such node.
    #[error("node {node}: {refusal}")]
    Node {
        /// The node.
        node: String,
        /// Why it does not fit there.
        refusal: NoNumaNode,
    },
    /// There are several such nodes.
    #[error("fits on none of {nodes} nodes; nearest is node {nearest}: {refusal}")]
    Nodes {
        /// How many nodes were compared.
        nodes: usize,
        /// The node on which the largest volume of that mode fits.
        nearest: String,
        /// Why it does not fit there.
        refusal: NoNumaNode,
    },
}

impl ChooseError {
    /// CSI "CreateVolume Errors": `OUT_OF_RANGE` for a size that no node can have, `RESOURCE_EXHAUSTED` for one that these
    /// nodes do not have now. ABORTED makes external-provisioner repeat the call in a moment.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NoNodes(_) => Code::ResourceExhausted,
            Self::Node { refusal, .. } | Self::Nodes { refusal, .. } => code_of(refusal),
        }
    }
}

/// The code of one node's refusal: see [`ChooseError::code`].
pub fn code_of(refusal: &NoNumaNode) -> Code {
    match refusal {
        NoNumaNode::Space(Refusal::BeyondAddressing { .. } | Refusal::LimitTooLow { .. }) => Code::OutOfRange,
        NoNumaNode::Space(Refusal::NoRegion { .. } | Refusal::NoSpace { .. } | Refusal::NotTogether { .. })
        | NoNumaNode::Apart(_)
        | NoNumaNode::Elsewhere { .. } => Code::ResourceExhausted,
        NoNumaNode::NotYet(_) => Code::Aborted,
    }
}

/// The node that was chosen for a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenNode {
    /// Its name.
    pub node: String,
    /// The NUMA node that the volume has to be on there.
    pub numa: NumaChoice,
}

/// The node where `request` fits best by `policy`. A preferred node wins over every other; equal nodes go by name. `companions` decide the NUMA node of a volume that has to be together with others.
///
/// # Errors
/// Says with numbers why it fits nowhere.
pub fn choose(
    index: &Index,
    allowed: &AllowedNodes,
    request: &VolumeRequest,
    companions: &CompanionClaims,
    policy: Policy,
) -> Result<ChosenNode, ChooseError> {
    let (preferred, others) = tiers(index, allowed);
    let mut refusals = Vec::new();
    for tier in [&preferred, &others] {
        let candidates = Candidates {
            index,
            nodes: tier,
            policy,
        };
        if let Some(best) = candidates.best_fit(request, companions, &mut refusals) {
            return Ok(best);
        }
    }
    Err(nearest(refusals, preferred.into_iter().chain(others).collect()))
}

struct Candidates<'a> {
    index: &'a Index,
    nodes: &'a BTreeSet<String>,
    policy: Policy,
}

impl Candidates<'_> {
    fn best_fit(
        &self,
        request: &VolumeRequest,
        companions: &CompanionClaims,
        refusals: &mut Vec<(Bytes, String, NoNumaNode)>,
    ) -> Option<ChosenNode> {
        let mut best: Option<(Cost, &String, NumaChoice)> = None;
        for node in self.nodes {
            let free = self.index.free_space(node).filter(|_| self.index.has_driver(node));
            let Some(free) = free else { continue };
            let numa = choose_numa(*request, &free, &companions.on_node(node, self.index));
            match numa.and_then(|numa| Ok((self.cost(&free, request, numa)?, numa))) {
                Ok((cost, numa)) if best.is_none_or(|(least, ..)| cost < least) => best = Some((cost, node, numa)),
                Ok(_) => {}
                Err(refusal) => refusals.push((largest(&free, request), node.clone(), refusal)),
            }
        }
        best.map(|(_, node, numa)| ChosenNode {
            node: node.clone(),
            numa,
        })
    }

    /// How bad a node is for the request, which takes as much of each.
    fn cost(&self, free: &Node, request: &VolumeRequest, numa: NumaChoice) -> Result<Cost, Refusal> {
        let left_over = free.left_over(&VolumeRequest {
            numa: numa.into(),
            ..*request
        })?;
        let extents = free.regions.iter().flat_map(|region| &region.free);
        let all_free = extents.map(|extent| extent.size).sum();
        Ok(Cost::of(self.policy, left_over, all_free))
    }
}

/// The preferred nodes, and the others.
fn tiers(index: &Index, allowed: &AllowedNodes) -> (BTreeSet<String>, BTreeSet<String>) {
    match allowed {
        AllowedNodes::Any => (BTreeSet::new(), index.node_names().map(Into::into).collect()),
        AllowedNodes::Named { preferred, requisite } if requisite.is_empty() => {
            let all = index.node_names().filter(|node| !preferred.contains(*node));
            (preferred.clone(), all.map(Into::into).collect())
        }
        AllowedNodes::Named { preferred, requisite } => {
            (preferred.clone(), requisite.difference(preferred).cloned().collect())
        }
    }
}

fn largest(free: &Node, request: &VolumeRequest) -> Bytes {
    let regions = free.regions.iter();
    regions
        .map(|region| region.largest_usable(request.mode))
        .max()
        .unwrap_or_default()
}

/// A node that is only full is nearer than one on which the size is wrong.
fn nearest(refusals: Vec<(Bytes, String, NoNumaNode)>, candidates: BTreeSet<String>) -> ChooseError {
    let nodes = refusals.len();
    let nearest = refusals
        .into_iter()
        .max_by_key(|(largest, _, refusal)| (!is_for_ever(refusal), *largest));
    match nearest {
        None => ChooseError::NoNodes(candidates),
        Some((_, node, refusal)) if nodes == 1 => ChooseError::Node { node, refusal },
        Some((_, nearest, refusal)) => ChooseError::Nodes {
            nodes,
            nearest,
            refusal,
        },
    }
}

fn is_for_ever(refusal: &NoNumaNode) -> bool {
    match refusal {
        NoNumaNode::Space(refusal) => refusal.is_for_ever(),
        NoNumaNode::Apart(_) => true,
        NoNumaNode::NotYet(_) | NoNumaNode::Elsewhere { .. } => false,
    }
}

fn none_of(nodes: &BTreeSet<String>) -> String {
    let named: Vec<&str> = nodes.iter().take(3).map(String::as_str).collect();
    match nodes.len() {
        0 => "no node has".into(),
        1 => format!("node {} has not", named.join("")),
        n => format!("none of {n} nodes ({}, ...) has", named.join(", ")),
    }
}
