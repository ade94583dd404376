//! Which of the nodes that will do are offered to kube-scheduler, and that they are held for the pod.

use std::sync::Arc;
use std::time::Instant;

use placement::{Cost, NumaWish, PodRequest, Policy};

use super::filter::sort_out;
use super::{Candidate, Filtered, Found, Known, Missing, Needs, Views, needs_of};
use crate::index::Index;
use crate::ledger::Promise;
use crate::pod::Pod;

/// So many nodes are judged for all claims of a pod together, when it comes to which is best.
const JUDGED_TOGETHER: usize = 32;

/// Which nodes are offered, and how many.
#[derive(Clone, Copy, Debug)]
pub struct Offering {
    /// What makes a node a good one.
    pub policy: Policy,
    /// How many nodes are offered for a pod: twice as many for each time that it was here before and nothing came of it.
    pub candidates: usize,
}

/// Sorts the candidates `names` out, leaves the best of those that will do, and promises the pod's claims space on each
/// of them.
///
/// What is offered is held until kube-scheduler is seen to have taken one of the nodes, so every further candidate
/// holds back space that others could use. A claim that is promised space for the sake of another pod stays where that
/// pod goes, if it can. A pod that needs no space is offered all nodes that will do.
///
/// # Errors
/// Everything that has to be asked of the API server first.
pub fn offer<'a>(
    index: &mut Index,
    found: &Found,
    pod: &Pod,
    names: &[&'a str],
    offering: Offering,
    now: Instant,
) -> Result<Filtered<'a>, Vec<Missing>> {
    let mut needs = needs_of(pod, Known { index, found })?;
    let mut filtered = Filtered::default();
    let views = Views::of(index, &needs);
    let passed = sort_out(&views, &mut needs, names.iter().copied(), &mut filtered);
    if needs.claims().is_empty() {
        filtered.passed = names_of(&passed);
        return Ok(filtered);
    }
    let passed = where_others_go(index, pod, &needs, passed);
    let attempts = index.ledger().attempts(&pod.metadata.uid, needs.uids());
    let most = offering.candidates.saturating_mul(2_usize.saturating_pow(attempts));
    let offered = best(offering.policy, most.max(1), &mut needs, passed);
    let promises = where_they_can_be(&mut needs, &offered);
    filtered.passed = names_of(&offered);
    index.decide(&pod.metadata.uid, &promises, &filtered.passed, now);
    Ok(filtered)
}

/// What is promised: the claims as they are, but if they wish to be together and can be on one NUMA node only of the one
/// node that is offered, nothing is held on the others.
fn where_they_can_be(needs: &mut Needs, offered: &[Candidate]) -> Vec<Arc<Promise>> {
    let Needs::Space {
        pod_request, claims, ..
    } = needs
    else {
        return Vec::new();
    };
    let only = match offered {
        [node] => node.space.and_then(|(view, _)| view.only_choice(pod_request)),
        _ => None,
    };
    let promise = |claim: &Arc<Promise>| match only {
        Some(numa) if claim.request.numa == NumaWish::Together => {
            let mut settled = Promise::clone(claim);
            settled.request.numa = NumaWish::Node(numa);
            Arc::new(settled)
        }
        Some(_) | None => claim.clone(),
    };
    claims.iter().map(promise).collect()
}

fn names_of<'a>(candidates: &[Candidate<'a, '_>]) -> Vec<&'a str> {
    candidates.iter().map(|candidate| candidate.name).collect()
}

fn where_others_go<'a, 'v>(
    index: &Index,
    pod: &Pod,
    needs: &Needs,
    passed: Vec<Candidate<'a, 'v>>,
) -> Vec<Candidate<'a, 'v>> {
    let mut left = passed.clone();
    for claim in needs.claims() {
        if let Some(nodes) = index.ledger().nodes_for_others(&claim.uid, &pod.metadata.uid) {
            left.retain(|candidate| nodes.contains(candidate.name));
        }
    }
    if left.is_empty() { passed } else { left }
}

/// At most `most` of the nodes, those with the lowest cost.
fn best<'a, 'v>(
    policy: Policy,
    most: usize,
    needs: &mut Needs,
    passed: Vec<Candidate<'a, 'v>>,
) -> Vec<Candidate<'a, 'v>> {
    let Needs::Space { pod_request, .. } = needs else {
        return passed;
    };
    let looked_at = match pod_request.requests() {
        [_] => passed,
        // Claims together take much longer to judge than one alone, so that is done for the best of these only.
        requests => {
            let largest = requests.iter().max_by_key(|request| request.required);
            let mut alone = PodRequest::new(largest.into_iter().copied().collect());
            cheapest(policy, &mut alone, most.max(JUDGED_TOGETHER), passed)
        }
    };
    cheapest(policy, pod_request, most, looked_at)
}

/// At most `most` of the nodes, those with the lowest cost, in the order given.
fn cheapest<'a, 'v>(
    policy: Policy,
    pod_request: &mut PodRequest,
    most: usize,
    nodes: Vec<Candidate<'a, 'v>>,
) -> Vec<Candidate<'a, 'v>> {
    if nodes.len() <= most {
        return nodes;
    }
    // Those without a cost, where the claims do not fit, come last.
    let costs = nodes.iter().map(|node| node.cost(policy, pod_request));
    let costs = costs.map(|cost| (cost.is_none(), cost));
    let mut ranked: Vec<((bool, Option<Cost>), usize)> = costs.zip(0..).collect();
    ranked.select_nth_unstable(most - 1);
    ranked.truncate(most);
    ranked.sort_unstable_by_key(|(_, position)| *position);
    ranked.into_iter().map(|(_, position)| nodes[position]).collect()
}
