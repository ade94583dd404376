//! The nodes as one pod sees them: what is reserved for its own claims is not in its way.

use std::collections::HashMap;

use placement::{Bytes, Cost, PodRequest, Policy, PreparedNode};

use super::PreparedRequirements;
use crate::state::{NodeSpace, State};

/// The nodes as one pod sees them.
#[derive(Debug)]
pub struct NodesForPod<'v> {
    state: &'v State,
    /// The free space of the nodes where something is reserved for the pod, without that.
    own: HashMap<&'v str, PreparedNode>,
}

/// A node that a pod may go to, found once.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'n, 'v> {
    /// Its name.
    pub name: &'n str,
    /// Its free space as the pod sees it, and all of its space; none if it did not report any.
    pub space: Option<(&'v PreparedNode, &'v NodeSpace)>,
}

impl Candidate<'_, '_> {
    /// Raw bytes that are free there.
    #[must_use]
    pub fn free(self) -> Bytes {
        self.space.map(|(free, _)| free.free()).unwrap_or_default()
    }

    /// How badly the request fits the node; none if it does not fit there.
    #[must_use]
    pub fn cost(self, policy: Policy, pod_request: &mut PodRequest) -> Option<Cost> {
        self.space.and_then(|(free, _)| free.cost(policy, pod_request))
    }
}

impl<'v> NodesForPod<'v> {
    /// For a pod with these `requirements`.
    #[must_use]
    pub fn new(state: &'v State, requirements: &PreparedRequirements) -> Self {
        let uids = requirements.uids();
        let nodes = uids.iter().flat_map(|uid| state.ledger().nodes_of(uid));
        let own = nodes.filter_map(|node| Some((node, state.free_without(node, &uids)?)));
        Self {
            state,
            own: own.collect(),
        }
    }

    /// The nodes `names`, in this order. All are found before any is asked anything: the processor finds many at a time
    /// then, and does not wait for each.
    pub fn candidates<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Vec<Candidate<'n, '_>> {
        let candidates: Vec<_> = names.into_iter().map(|name| self.candidate(name)).collect();
        PreparedNode::fetch(candidates.iter().filter_map(|node| Some(node.space?.0)));
        candidates
    }

    /// The node `name`.
    #[must_use]
    pub fn candidate<'n>(&self, name: &'n str) -> Candidate<'n, '_> {
        let space = self.state.space(name);
        let with_free = |space: &'v NodeSpace| (self.own.get(name).unwrap_or_else(|| space.free()), space);
        Candidate {
            name,
            space: space.map(with_free),
        }
    }
}
