//! On which node a volume goes.

use std::collections::BTreeSet;

use crds::NumaChoice;
use placement::{Bytes, Node, Refusal, VolumeRequest};

use super::company::{Company, Unfit};
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
        refusal: Unfit,
    },
    /// It does not fit on any of the nodes that it may be on.
    #[error("fits on none of {nodes} nodes; nearest is node {nearest}: {refusal}")]
    Nodes {
        /// How many nodes were asked.
        nodes: usize,
        /// The one with the largest volume to offer.
        nearest: String,
        /// Why it does not fit there.
        refusal: Unfit,
    },
}

/// Who is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The size that is asked for.
    Size,
    /// What else is on the nodes.
    Nodes,
    /// Nobody: it will be known in a moment.
    Time,
}

impl NoPlace {
    /// Who is to blame.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::NoNodes(_) => Blame::Nodes,
            Self::Node { refusal, .. } | Self::Nodes { refusal, .. } => match refusal {
                Unfit::Space(Refusal::BeyondAddressing { .. } | Refusal::LimitTooLow { .. }) => Blame::Size,
                Unfit::Space(Refusal::NoRegion { .. } | Refusal::NoSpace { .. } | Refusal::NotTogether { .. })
                | Unfit::Apart(_) => Blame::Nodes,
                Unfit::NotYet(_) => Blame::Time,
            },
        }
    }
}

/// Where a volume goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The node.
    pub node: String,
    /// The NUMA node that it has to be on there.
    pub numa: NumaChoice,
}

/// The node where `want` fits best, that is with the least left over of the hole that it takes: among the preferred ones
/// if it fits on any of them, then among the others. Nodes that are equal go by name. If it is to be together with other
/// volumes, these are those of `company`.
///
/// # Errors
/// Says with numbers why it fits nowhere.
pub fn choose(index: &Index, places: &Places, request: &VolumeRequest, company: &Company) -> Result<Place, NoPlace> {
    let (preferred, others) = tiers(index, places);
    let mut refusals = Vec::new();
    for tier in [&preferred, &others] {
        let candidates = Candidates { index, nodes: tier };
        if let Some(best) = candidates.best_fit(request, company, &mut refusals) {
            return Ok(best);
        }
    }
    Err(no_place(refusals, preferred.into_iter().chain(others).collect()))
}

struct Candidates<'a> {
    index: &'a Index,
    nodes: &'a BTreeSet<String>,
}

impl Candidates<'_> {
    fn best_fit(
        &self,
        request: &VolumeRequest,
        company: &Company,
        refusals: &mut Vec<(Bytes, String, Unfit)>,
    ) -> Option<Place> {
        let mut best: Option<(Bytes, &String, NumaChoice)> = None;
        for node in self.nodes {
            let Some(view) = self.index.free_space(node) else {
                continue;
            };
            let fit = company.settle(*request, node, &view, self.index);
            match fit.and_then(|numa| Ok((left_over(&view, request, numa)?, numa))) {
                Ok((left, numa)) if best.is_none_or(|(least, ..)| left < least) => best = Some((left, node, numa)),
                Ok(_) => {}
                Err(unfit) => refusals.push((largest(&view, request), node.clone(), unfit)),
            }
        }
        best.map(|(_, node, numa)| Place {
            node: node.clone(),
            numa,
        })
    }
}

fn left_over(view: &Node, request: &VolumeRequest, numa: NumaChoice) -> Result<Bytes, Refusal> {
    view.left_over(&VolumeRequest {
        numa: numa.into(),
        ..*request
    })
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

fn largest(view: &Node, request: &VolumeRequest) -> Bytes {
    let regions = view.regions.iter();
    regions
        .map(|region| region.largest_usable(request.mode))
        .max()
        .unwrap_or_default()
}

/// A node that is only full is nearer than one on which the size is wrong.
fn no_place(refusals: Vec<(Bytes, String, Unfit)>, asked: BTreeSet<String>) -> NoPlace {
    let nodes = refusals.len();
    let nearest = refusals
        .into_iter()
        .max_by_key(|(largest, _, unfit)| (!is_for_ever(unfit), *largest));
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

fn is_for_ever(unfit: &Unfit) -> bool {
    match unfit {
        Unfit::Space(refusal) => refusal.is_for_ever(),
        Unfit::Apart(_) => true,
        Unfit::NotYet(_) => false,
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
