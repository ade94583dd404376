//! Which of the nodes that will do pass the filter, and the reservations for the pod there.

use std::sync::Arc;
use std::time::Instant;

use placement::{Cost, NumaWish, PodRequest, Policy};

use super::filter::partition;
use super::{Candidate, Filtered, Found, Known, Missing, Needs, NodesForPod, needs_of};
use crate::ledger::Reservation;
use crate::pod::Pod;
use crate::state::State;

/// The cost of all claims of a pod together is worked out for so many nodes.
const SHORTLIST: usize = 32;

/// Which of the nodes that will do pass the filter, and how many.
#[derive(Clone, Copy, Debug)]
pub struct NodeChoice {
    /// What makes a node a good one.
    pub policy: Policy,
    /// How many nodes pass: twice as many for each time that the pod was here before and nothing came of it.
    pub candidates: usize,
}

/// Filters the candidates `names`, passes the best of those that will do, and reserves space for the pod's claims on each
/// of them.
///
/// The space stays reserved until kube-scheduler is seen to have taken one of the nodes, so every further node that
/// passes keeps space from others. A claim that has a reservation for the sake of another pod stays where that pod goes,
/// if it can. A pod that needs no space passes on all nodes that will do.
///
/// # Errors
/// Everything that has to be asked of the API server first.
pub fn filter_and_reserve<'a>(
    state: &mut State,
    found: &Found,
    pod: &Pod,
    names: &[&'a str],
    choice: NodeChoice,
    now: Instant,
) -> Result<Filtered<'a>, Vec<Missing>> {
    let mut needs = needs_of(
        pod,
        Known {
            index: state.index(),
            found,
        },
    )?;
    let mut filtered = Filtered::default();
    let nodes = NodesForPod::new(state, &needs);
    let passed = partition(&nodes, &mut needs, names.iter().copied(), &mut filtered);
    if needs.claims().is_empty() {
        filtered.passed = names_of(&passed);
        return Ok(filtered);
    }
    let passed = shared_with_other_pods(state, pod, &needs, passed);
    let attempts = state.ledger().attempts(&pod.metadata.uid, needs.uids());
    let most = choice.candidates.saturating_mul(2_usize.saturating_pow(attempts));
    let chosen = best(choice.policy, most.max(1), &mut needs, passed);
    let reservations = reservations(&mut needs, &chosen);
    filtered.passed = names_of(&chosen);
    state.reserve(&pod.metadata.uid, &reservations, &filtered.passed, now);
    Ok(filtered)
}

/// What is reserved: the claims as they are. But if they wish to be together and can be on one NUMA node only of the one
/// node that was chosen, nothing is reserved on its others.
fn reservations(needs: &mut Needs, chosen: &[Candidate]) -> Vec<Arc<Reservation>> {
    let Needs::Space {
        pod_request, claims, ..
    } = needs
    else {
        return Vec::new();
    };
    let only = match chosen {
        [node] => node.space.and_then(|(free, _)| free.only_choice(pod_request)),
        _ => None,
    };
    let reservation = |claim: &Arc<Reservation>| match only {
        Some(numa) if claim.request.numa == NumaWish::Together => {
            let mut settled = Reservation::clone(claim);
            settled.request.numa = NumaWish::Node(numa);
            Arc::new(settled)
        }
        Some(_) | None => claim.clone(),
    };
    claims.iter().map(reservation).collect()
}

fn names_of<'a>(candidates: &[Candidate<'a, '_>]) -> Vec<&'a str> {
    candidates.iter().map(|candidate| candidate.name).collect()
}

/// Of the nodes that will do, those where other pods that share a claim with this one go; all if there are none.
fn shared_with_other_pods<'a, 'v>(
    state: &State,
    pod: &Pod,
    needs: &Needs,
    passed: Vec<Candidate<'a, 'v>>,
) -> Vec<Candidate<'a, 'v>> {
    let mut left = passed.clone();
    for claim in needs.claims() {
        if let Some(nodes) = state.ledger().nodes_for_other_pods(&claim.uid, &pod.metadata.uid) {
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
