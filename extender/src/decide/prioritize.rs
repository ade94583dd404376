//! Which of the nodes that will do is best.

use placement::{HIGHEST, Policy, scores};

use super::{NodesForPod, PreparedRequirements};
use crate::state::State;

/// The highest score that kube-scheduler is told. It multiplies them by ten and by the weight of the extender, which is 1 in our
/// configuration. The second replica on a node costs 100 there (`PodTopologySpread`, weight 2), the third 40: who spreads replicas
/// outranks us, and who has no wish is packed.
pub const HIGHEST_TOLD: u8 = 3;

/// A score from 0 to [`HIGHEST`] for each of the candidates `names`; none at all for a pod that needs no space, so that its
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

/// What kube-scheduler is told for a score of [`prioritize`]: only the best has the highest.
#[must_use]
pub fn told_score(score: u8) -> u8 {
    score * HIGHEST_TOLD / HIGHEST
}
