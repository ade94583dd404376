//! On which node a volume goes.

use std::collections::BTreeSet;

use placement::{Bytes, Refusal, Want};

use super::places::Places;
use crate::index::Index;

/// Why a volume fits nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// None of the nodes that it may be on has published persistent memory.
    #[error("{} published persistent memory: see \"kubectl get pmemnodes\", and whether the node driver runs", nobody(.0))]
    NoNodes(BTreeSet<String>),
    /// It does not fit on the only node that it may be on.
    #[error("node {node}: {refusal}")]
    Node {
        /// The node.
        node: String,
        /// Why it does not fit there.
        refusal: Refusal,
    },
    /// It does not fit on any of the nodes that it may be on.
    #[error("fits on none of {nodes} nodes; nearest is node {nearest}: {refusal}")]
    Nodes {
        /// How many nodes were asked.
        nodes: usize,
        /// The one with the largest volume to offer.
        nearest: String,
        /// Why it does not fit there.
        refusal: Refusal,
    },
}

impl NoPlace {
    /// Whether the size is to blame, and not what else is on the nodes.
    #[must_use]
    pub fn is_size(&self) -> bool {
        match self {
            Self::NoNodes(_) => false,
            Self::Node { refusal, .. } | Self::Nodes { refusal, .. } => match refusal {
                Refusal::BeyondAddressing { .. } | Refusal::LimitTooLow { .. } => true,
                Refusal::NoRegion { .. } | Refusal::NoSpace { .. } | Refusal::NotTogether { .. } => false,
            },
        }
    }
}

/// The node where `want` fits best, that is with the least left over of the hole that it takes: among the preferred ones
/// if it fits on any of them, then among the others. Nodes that are equal go by name.
///
/// # Errors
/// Says with numbers why it fits nowhere.
pub fn choose(index: &Index, places: &Places, want: &Want) -> Result<String, NoPlace> {
    let (preferred, others) = tiers(index, places);
    let mut refusals = Vec::new();
    for tier in [&preferred, &others] {
        if let Some(best) = best_fit(index, tier, want, &mut refusals) {
            return Ok(best);
        }
    }
    Err(no_place(refusals, preferred.into_iter().chain(others).collect()))
}

fn tiers(index: &Index, places: &Places) -> (BTreeSet<String>, BTreeSet<String>) {
    match places {
        Places::Anywhere => (BTreeSet::new(), index.node_names().map(Into::into).collect()),
        Places::Nodes { preferred, requisite } if requisite.is_empty() => {
            let all = index.node_names().filter(|node| !preferred.contains(*node));
            (preferred.clone(), all.map(Into::into).collect())
        }
        Places::Nodes { preferred, requisite } => {
            (preferred.clone(), requisite.difference(preferred).cloned().collect())
        }
    }
}

fn best_fit(
    index: &Index,
    nodes: &BTreeSet<String>,
    want: &Want,
    refusals: &mut Vec<(Bytes, String, Refusal)>,
) -> Option<String> {
    let mut best: Option<(Bytes, &String)> = None;
    for node in nodes {
        let Some(view) = index.free_view(node) else {
            continue;
        };
        match view.left_over(want) {
            Ok(left) if best.is_none_or(|(least, _)| left < least) => best = Some((left, node)),
            Ok(_) => {}
            Err(refusal) => refusals.push((largest(&view, want), node.clone(), refusal)),
        }
    }
    best.map(|(_, node)| node.clone())
}

fn largest(view: &placement::Node, want: &Want) -> Bytes {
    let regions = view.regions.iter();
    regions
        .map(|region| region.largest_usable(want.mode))
        .max()
        .unwrap_or_default()
}

/// A node that is only full is nearer than one on which the size is wrong.
fn no_place(refusals: Vec<(Bytes, String, Refusal)>, asked: BTreeSet<String>) -> NoPlace {
    let nodes = refusals.len();
    let nearest = refusals
        .into_iter()
        .max_by_key(|(largest, _, refusal)| (!refusal.is_for_ever(), *largest));
    match nearest {
        None => NoPlace::NoNodes(asked),
        Some((_, node, refusal)) if nodes == 1 => NoPlace::Node { node, refusal },
        Some((_, nearest, refusal)) => NoPlace::Nodes {
            nodes,
            nearest,
            refusal,
        },
    }
}

fn nobody(nodes: &BTreeSet<String>) -> String {
    let named: Vec<&str> = nodes.iter().take(3).map(String::as_str).collect();
    match nodes.len() {
        0 => "no node has".into(),
        1 => format!("node {} has not", named.join("")),
        n => format!("none of {n} nodes ({}, ...) has", named.join(", ")),
    }
}
