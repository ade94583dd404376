//! Which of the nodes that will do are offered to kube-scheduler.

use placement::{Bytes, Policy};

use super::{Needs, Views};
use crate::index::Index;
use crate::pod::Pod;

/// The best of the nodes that `passed`, in the order given: at most `candidates`, twice as many for each time that the
/// pod was here before and nothing came of it. All of them for a pod that needs no space.
///
/// What is offered is promised until kube-scheduler is seen to have taken one of them, so every further candidate holds
/// back space that others could use. A claim that is promised space for the sake of another pod stays where that pod
/// goes, if it can.
pub fn choose<'a>(
    index: &Index,
    policy: Policy,
    candidates: usize,
    pod: &Pod,
    needs: &mut Needs,
    passed: Vec<&'a str>,
) -> Vec<&'a str> {
    if needs.claims().is_empty() {
        return passed;
    }
    let ledger = index.ledger();
    let attempts = ledger.attempts(&pod.metadata.uid, needs.uids());
    let candidates = candidates.saturating_mul(2_usize.saturating_pow(attempts)).max(1);
    let passed = where_others_go(index, pod, needs, passed);
    best(index, policy, candidates, needs, passed)
}

fn where_others_go<'a>(index: &Index, pod: &Pod, needs: &Needs, passed: Vec<&'a str>) -> Vec<&'a str> {
    let mut left = passed.clone();
    for claim in needs.claims() {
        if let Some(nodes) = index.ledger().nodes_for_others(&claim.uid, &pod.metadata.uid) {
            left.retain(|node| nodes.contains(*node));
        }
    }
    if left.is_empty() { passed } else { left }
}

fn best<'a>(index: &Index, policy: Policy, most: usize, needs: &mut Needs, passed: Vec<&'a str>) -> Vec<&'a str> {
    let views = Views::of(index, needs);
    let Needs::Space { ask, .. } = needs else {
        return passed;
    };
    if passed.len() <= most {
        return passed;
    }
    let mut cost = |name| views.of_node(name).and_then(|view| view.now.cost(policy, ask));
    let costs = passed.iter().map(|name| cost(name).unwrap_or(Bytes::MAX));
    let mut ranked: Vec<(Bytes, usize)> = costs.zip(0..).collect();
    ranked.select_nth_unstable(most - 1);
    ranked.truncate(most);
    ranked.sort_unstable_by_key(|(_, position)| *position);
    ranked.into_iter().map(|(_, position)| passed[position]).collect()
}
