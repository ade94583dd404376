//! Which of the nodes that will do pass the filter, and the reservations for the pod there.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use cluster::{NotIndexed, Pod, ReadObjects};
use placement::{Cost, PodRequest, Policy};

use super::filter::partition;
use super::{Candidate, Filtered, NodeRequirements, NodesForPod, PreparedRequirements};
use crate::ledger;
use crate::state::State;

/// The cost of all claims of a pod together is worked out for so many nodes.
const SHORTLIST: usize = 32;

/// Which of the nodes that will do pass the filter, and how many.
#[derive(Clone, Copy, Debug)]
pub struct NodeChoice {
    /// Which nodes count as good.
    pub policy: Policy,
    /// How many nodes pass at most. While many pods are decided on, one passes: see [`Ledger::is_quiet`](crate::ledger::Ledger::is_quiet).
    pub candidates: usize,
}

/// Filters the candidates `names`, passes the best of those that will do, and reserves space for the pod's claims on each
/// of them.
///
/// The space stays reserved until kube-scheduler is seen to have taken one of the nodes, so every further node that
/// passes keeps space from others. A claim that has a reservation for the sake of another pod stays where that pod goes,
/// if it can. A pod that was here before passes on nodes that it did not pass on, if there are any. If there are volumes on
/// some of the nodes that kube-scheduler binds claims to, the pod passes where most of its claims are bound to the same
/// ones: these are kept from other pods, and only its other claims need space. A pod without claims that are to be bound passes on all
/// nodes that will do.
///
/// # Errors
/// What has to be read from the API server first.
pub fn filter_and_reserve<'a>(
    state: &mut State,
    read: &ReadObjects,
    pod: &Pod,
    names: &[&'a str],
    choice: NodeChoice,
    now: Instant,
) -> Result<Filtered<'a>, Vec<NotIndexed>> {
    let mut requirements = PreparedRequirements::of(pod, state, read)?;
    // Not before it is known that nothing has to be read first: the same call would seem to be another one.
    if state.gang_asked(pod) {
        requirements = PreparedRequirements::of(pod, state, read)?;
    }
    let mut filtered = Filtered::default();
    let nodes = NodesForPod::new(state, &requirements);
    let passed = partition(&nodes, &mut requirements, names.iter().copied(), &mut filtered);
    if requirements.uids().is_empty() {
        filtered.passed = names_of(&passed);
        return Ok(filtered);
    }
    let passed = shared_with_other_pods(state, pod, &requirements, passed);
    let passed = not_tried(&state.ledger().tried(&pod.uid, requirements.uids()), passed);
    let passed = best_served(&requirements, passed);
    // The same on all of them.
    let on_them = requirements.on_mut(passed.first().map(|candidate| candidate.name).unwrap_or_default());
    let most = if state.ledger().is_quiet(now) {
        choice.candidates.max(1)
    } else {
        1
    };
    let chosen = best(choice.policy, most, on_them, passed);
    let reservations = ledger::reservations(pod, on_them.claims(), &on_them.served);
    filtered.passed = names_of(&chosen);
    state.reserve(pod, &reservations, &filtered.passed, now);
    Ok(filtered)
}

fn names_of<'a>(candidates: &[Candidate<'a, '_>]) -> Vec<&'a str> {
    candidates.iter().map(|candidate| candidate.name).collect()
}

/// Of the nodes that will do, those where other pods that share a claim with this one go; all if there are none.
fn shared_with_other_pods<'a, 'v>(
    state: &State,
    pod: &Pod,
    requirements: &PreparedRequirements,
    passed: Vec<Candidate<'a, 'v>>,
) -> Vec<Candidate<'a, 'v>> {
    let mut left = passed.clone();
    for uid in requirements.uids() {
        if let Some(nodes) = state.ledger().nodes_for_other_pods(uid, &pod.uid) {
            left.retain(|candidate| nodes.contains(candidate.name));
        }
    }
    if left.is_empty() { passed } else { left }
}

/// Of the nodes that will do, those that were not `tried`; all if there are none.
fn not_tried<'a, 'v>(tried: &BTreeSet<Arc<str>>, passed: Vec<Candidate<'a, 'v>>) -> Vec<Candidate<'a, 'v>> {
    let others = passed.iter().filter(|candidate| !tried.contains(candidate.name));
    let others: Vec<_> = others.copied().collect();
    if others.is_empty() { passed } else { others }
}

/// Of the nodes that will do, those where most claims are bound to volumes that exist: the same claims to the same volumes.
fn best_served<'a, 'v>(
    requirements: &PreparedRequirements,
    mut passed: Vec<Candidate<'a, 'v>>,
) -> Vec<Candidate<'a, 'v>> {
    if requirements.differ() {
        let served = |candidate: &Candidate| &requirements.on(candidate.name).served;
        let best = passed
            .iter()
            .map(served)
            .max_by_key(|served| (served.len(), Reverse(*served)));
        passed.retain(|candidate| Some(served(candidate)) == best);
    }
    passed
}

/// At most `most` of the nodes, those with the lowest cost; all if no claim needs space.
fn best<'a, 'v>(
    policy: Policy,
    most: usize,
    requirements: &mut NodeRequirements,
    passed: Vec<Candidate<'a, 'v>>,
) -> Vec<Candidate<'a, 'v>> {
    let Some(pod_request) = requirements.pod_request() else {
        return passed;
    };
    let shortlist = match pod_request.requests() {
        [_] => passed,
        // The cost of claims together takes much longer than that of one alone, so only the best for the largest are left.
        requests => {
            let largest = requests.iter().max_by_key(|request| request.required);
            let mut alone = PodRequest::new(largest.into_iter().copied().collect());
            cheapest(policy, &mut alone, most.max(SHORTLIST), passed)
        }
    };
    cheapest(policy, pod_request, most, shortlist)
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
