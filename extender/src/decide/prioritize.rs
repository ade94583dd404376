//! Which of the nodes that will do is best.

use placement::{Policy, scores};

use super::{NodesForPod, PreparedRequirements};
use crate::state::State;

/// A score from 0 to 10 for each of the candidates `names`; none at all for a pod that needs no space, so that its
/// placement is left to others.
pub fn prioritize<'a>(
    state: &State,
    policy: Policy,
    requirements: &mut PreparedRequirements,
    names: &[&'a str],
) -> Vec<(&'a str, u8)> {
    let nodes = NodesForPod::new(state, requirements);
    let pod_request = match requirements {
        PreparedRequirements::Space { pod_request, .. } if !pod_request.requests().is_empty() => pod_request,
        PreparedRequirements::Space { .. } | PreparedRequirements::Nothing | PreparedRequirements::Impossible(_) => {
            return Vec::new();
        }
    };
    let candidates = nodes.candidates(names.iter().copied());
    let costs: Vec<_> = candidates.iter().map(|node| node.cost(policy, pod_request)).collect();
    names.iter().copied().zip(scores(&costs)).collect()
}
