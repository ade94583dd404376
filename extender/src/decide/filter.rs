//! Which nodes will do, and why the others will not.

use std::fmt;
use std::sync::Arc;

use placement::{PodRequest, Reason};

use super::{Candidate, Needs, Pin, Views};
use crate::index::Index;

/// The numbers of so many nodes are told. kube-scheduler puts each text that differs from the others into the condition of
/// the pod, whole: those of thousands of nodes would be more than the API server takes.
const SPELT_OUT: usize = 8;

/// The candidates, sorted out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Filtered<'a> {
    /// The nodes that will do.
    pub passed: Vec<&'a str>,
    /// The nodes that may do later.
    pub failed: Vec<(&'a str, Why)>,
    /// The nodes that will not do whatever else goes away: there is no point in evicting pods there.
    pub unresolvable: Vec<(&'a str, Why)>,
}

/// Why a node will not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The space is not there.
    Space(Reason),
    /// Something else.
    Told(Arc<str>),
}

impl Why {
    /// For the reason in `text`.
    pub fn told(text: impl Into<Arc<str>>) -> Self {
        Self::Told(text.into())
    }

    /// Leaves the numbers of the node out.
    fn shorten(&mut self) {
        if let Self::Space(reason) = self {
            reason.without_numbers("; no room here (/v1/explain has all numbers)");
        }
    }

    /// The text in parts: one after the other they are what [`Display`](fmt::Display) writes.
    #[must_use]
    pub fn parts(&self) -> [&str; 4] {
        match self {
            Self::Space(reason) => reason.parts(),
            Self::Told(text) => [text, "", "", ""],
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts().into_iter().try_for_each(|part| f.write_str(part))
    }
}

/// What becomes of one candidate.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It will do.
    Passed,
    /// It may do later.
    Failed(Why),
    /// It will not do, whatever else goes away.
    Unresolvable(Why),
}

/// Sorts the candidates `names` by whether they have what a pod `needs`.
pub fn filter<'a>(index: &Index, needs: &mut Needs, names: impl IntoIterator<Item = &'a str>) -> Filtered<'a> {
    let mut filtered = Filtered::default();
    let views = Views::of(index, needs);
    let passed = sort_out(&views, needs, names, &mut filtered);
    filtered.passed = passed.iter().map(|candidate| candidate.name).collect();
    filtered
}

/// The candidates `names` that have what a pod `needs`; the others go into `refused`.
pub(super) fn sort_out<'a, 'v>(
    views: &'v Views,
    needs: &mut Needs,
    names: impl IntoIterator<Item = &'a str>,
    refused: &mut Filtered<'a>,
) -> Vec<Candidate<'a, 'v>> {
    let candidates = views.candidates(names);
    let mut passed = Vec::with_capacity(candidates.len());
    let (mut failed, mut unresolvable) = (Vec::new(), Vec::new());
    for candidate in candidates {
        match verdict(candidate, needs) {
            Verdict::Passed => passed.push(candidate),
            Verdict::Failed(why) => failed.push((candidate, why)),
            Verdict::Unresolvable(why) => unresolvable.push((candidate, why)),
        }
    }
    refused.failed = in_short(failed);
    refused.unresolvable = in_short(unresolvable);
    passed
}

/// With the numbers of those nodes only that have the most free bytes. These come first.
fn in_short<'a>(mut refused: Vec<(Candidate<'a, '_>, Why)>) -> Vec<(&'a str, Why)> {
    let rank = |(node, _): &(Candidate<'a, '_>, Why)| (std::cmp::Reverse(node.free()), node.name);
    if refused.len() > SPELT_OUT {
        // By name where they are equally good, so that a pod that is tried again is told the same.
        refused.select_nth_unstable_by_key(SPELT_OUT - 1, rank);
        refused[..SPELT_OUT].sort_unstable_by_key(rank);
        for (_, why) in &mut refused[SPELT_OUT..] {
            why.shorten();
        }
    }
    refused.into_iter().map(|(node, why)| (node.name, why)).collect()
}

/// Whether a node has what a pod `needs`.
pub fn verdict(candidate: Candidate, needs: &mut Needs) -> Verdict {
    match needs {
        Needs::Nothing => Verdict::Passed,
        Needs::Impossible(why) => Verdict::Unresolvable(Why::Told(why.clone())),
        Needs::Space { pins, pod_request, .. } => match elsewhere(pins, candidate.name) {
            Some(pin) => Verdict::Unresolvable(Why::Told(pin.why.clone())),
            None => verdict_on_space(candidate, pod_request),
        },
    }
}

/// The first pin to another node.
fn elsewhere<'p>(pins: &'p [Pin], name: &str) -> Option<&'p Pin> {
    pins.iter().find(|pin| *pin.node != *name)
}

fn verdict_on_space(candidate: Candidate, pod_request: &mut PodRequest) -> Verdict {
    if pod_request.requests().is_empty() {
        // All claims are here already: the node needs no space, and may not even be able to tell of any right now.
        return Verdict::Passed;
    }
    let Some((view, space)) = candidate.space else {
        return Verdict::Unresolvable(Why::told("no persistent memory (no PmemNode)"));
    };
    match view.fits(pod_request) {
        Ok(()) => Verdict::Passed,
        Err(reason) if space.empty().is_some_and(|empty| empty.fits_each(pod_request)) => {
            Verdict::Failed(Why::Space(reason))
        }
        Err(reason) => Verdict::Unresolvable(Why::Space(reason)),
    }
}
