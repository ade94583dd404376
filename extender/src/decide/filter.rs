//! Which nodes will do, and why the others will not.

use std::fmt;
use std::sync::Arc;

use placement::{PodRequest, Reason};

use super::{Candidate, NodesForPod, OtherClaims, PreparedRequirements};
use crate::state::State;

/// So many refusals come with their numbers. kube-scheduler puts each text that differs from the others into the condition of
/// the pod, whole: those of thousands of nodes would be more than the API server takes.
const WITH_NUMBERS: usize = 8;

/// The answer to a filter call.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Filtered<'a> {
    /// In the order of the call.
    pub passed: Vec<&'a str>,
    /// The nodes that may have room later; those with the most free bytes first.
    pub failed: Vec<(&'a str, NodeRefusal)>,
    /// The nodes that will not do even if they were empty.
    pub unresolvable: Vec<(&'a str, NodeRefusal)>,
}

/// Why a node will not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeRefusal {
    /// The pod's request does not fit there.
    Space(Reason),
    /// Anything else, in words.
    Other(Arc<str>),
}

impl NodeRefusal {
    /// Leaves the numbers of the node out.
    fn drop_numbers(&mut self) {
        if let Self::Space(reason) = self {
            reason.without_numbers("; no room here (/v1/explain has all numbers)");
        }
    }

    /// The text in parts: one after the other they are what [`Display`](fmt::Display) writes.
    #[must_use]
    pub fn parts(&self) -> [&str; 2] {
        match self {
            Self::Space(reason) => reason.parts(),
            Self::Other(text) => [text, ""],
        }
    }
}

impl fmt::Display for NodeRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts().into_iter().try_for_each(|part| f.write_str(part))
    }
}

/// What a filter call answers for one candidate.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has what the pod requires.
    Passed,
    /// Not now, but if volumes or reservations went.
    Failed(NodeRefusal),
    /// Not even if it were empty.
    Unresolvable(NodeRefusal),
}

/// Sorts the candidates `names` by whether they have what a pod requires.
pub fn filter<'a>(
    state: &State,
    requirements: &mut PreparedRequirements,
    names: impl IntoIterator<Item = &'a str>,
) -> Filtered<'a> {
    let mut filtered = Filtered::default();
    let nodes = NodesForPod::new(state, requirements);
    let passed = partition(&nodes, requirements, names, &mut filtered);
    filtered.passed = passed.iter().map(|candidate| candidate.name).collect();
    filtered
}

/// The candidates `names` that have what a pod requires; the others go into `refused`.
pub(super) fn partition<'a, 'v>(
    nodes: &'v NodesForPod,
    requirements: &mut PreparedRequirements,
    names: impl IntoIterator<Item = &'a str>,
    refused: &mut Filtered<'a>,
) -> Vec<Candidate<'a, 'v>> {
    let candidates = nodes.candidates(names);
    let mut passed = Vec::with_capacity(candidates.len());
    let (mut failed, mut unresolvable) = (Vec::new(), Vec::new());
    for candidate in candidates {
        match verdict(candidate, requirements) {
            Verdict::Passed => passed.push(candidate),
            Verdict::Failed(refusal) => failed.push((candidate, refusal)),
            Verdict::Unresolvable(refusal) => unresolvable.push((candidate, refusal)),
        }
    }
    refused.failed = with_few_numbers(failed);
    refused.unresolvable = with_few_numbers(unresolvable);
    passed
}

/// With the numbers of those nodes only that have the most free bytes. These come first.
fn with_few_numbers<'a>(mut refused: Vec<(Candidate<'a, '_>, NodeRefusal)>) -> Vec<(&'a str, NodeRefusal)> {
    let rank = |(node, _): &(Candidate<'a, '_>, NodeRefusal)| (std::cmp::Reverse(node.free()), node.name);
    if refused.len() > WITH_NUMBERS {
        // By name where they are equally good, so that a pod that is tried again is told the same.
        refused.select_nth_unstable_by_key(WITH_NUMBERS - 1, rank);
        refused[..WITH_NUMBERS].sort_unstable_by_key(rank);
        for (_, refusal) in &mut refused[WITH_NUMBERS..] {
            refusal.drop_numbers();
        }
    }
    refused
        .into_iter()
        .map(|(node, refusal)| (node.name, refusal))
        .collect()
}

/// Whether a node has what a pod requires.
pub fn verdict(candidate: Candidate, requirements: &mut PreparedRequirements) -> Verdict {
    let on_it = requirements.on_mut(candidate.name);
    match &mut on_it.others {
        OtherClaims::Nothing => Verdict::Passed,
        OtherClaims::Impossible(text) => Verdict::Unresolvable(NodeRefusal::Other(text.clone())),
        OtherClaims::Space { space, pod_request } => match space.reason_against(candidate.name) {
            Some(reason) => Verdict::Unresolvable(NodeRefusal::Other(reason.clone())),
            // All claims are bound here: the node needs no space, and may not even report any right now. Those that are bound
            // only if the pod comes here may be better off elsewhere.
            None if on_it.served.is_empty() && pod_request.requests().is_empty() => Verdict::Passed,
            None => verdict_on_space(candidate, pod_request),
        },
    }
}

fn verdict_on_space(candidate: Candidate, pod_request: &mut PodRequest) -> Verdict {
    let Some((free, space)) = candidate.space else {
        return Verdict::Unresolvable(NodeRefusal::Other(
            "no persistent memory: no PmemNode, no driver in its CSINode, or a silent driver".into(),
        ));
    };
    match free.fits(pod_request) {
        Ok(()) => Verdict::Passed,
        Err(reason) if space.empty().fits_each(pod_request) => Verdict::Failed(NodeRefusal::Space(reason)),
        Err(reason) => Verdict::Unresolvable(NodeRefusal::Space(reason)),
    }
}
