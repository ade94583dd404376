//! Which of the nodes that will do is best.

use placement::{HIGHEST, Policy, scores};

use super::{Candidate, NodesForPod, PreparedRequirements};
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
    if !requirements.need_space() {
        return Vec::new();
    }
    let candidates = nodes.candidates(names.iter().copied());
    let mut cost = |node: &Candidate| node.cost(policy, requirements.on_mut(node.name).pod_request()?);
    let costs: Vec<_> = candidates.iter().map(&mut cost).collect();
    names.iter().copied().zip(scores(&costs)).collect()
}

/// What kube-scheduler is told for a score of [`prioritize`]: only the best has the highest.
#[must_use]
pub fn told_score(score: u8) -> u8 {
    score * HIGHEST_TOLD / HIGHEST
}
