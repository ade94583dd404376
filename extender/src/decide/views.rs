//! The nodes as one pod sees them: what was promised to its own claims is not in its way.

use std::collections::HashMap;

use placement::{Bytes, Cost, PodRequest, Policy, PreparedNode};

use super::Needs;
use crate::index::{Index, NodeSpace};

/// The nodes as one pod sees them.
#[derive(Debug)]
pub struct Views<'v> {
    index: &'v Index,
    own: HashMap<&'v str, PreparedNode>,
}

/// A node that a pod may go to, looked up once.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'n, 'v> {
    /// Its name.
    pub name: &'n str,
    /// Its free space as the pod sees it, and the node; none if it did not publish any.
    pub space: Option<(&'v PreparedNode, &'v NodeSpace)>,
}

impl Candidate<'_, '_> {
    /// Raw bytes that are free there.
    #[must_use]
    pub fn free(self) -> Bytes {
        self.space.map(|(view, _)| view.free()).unwrap_or_default()
    }

    /// How bad the node is for these wants; none if they do not fit there.
    #[must_use]
    pub fn cost(self, policy: Policy, pod_request: &mut PodRequest) -> Option<Cost> {
        self.space.and_then(|(view, _)| view.cost(policy, pod_request))
    }
}

impl<'v> Views<'v> {
    /// For a pod with these `needs`.
    #[must_use]
    pub fn of(index: &'v Index, needs: &Needs) -> Self {
        let uids = needs.uids();
        let nodes = uids.iter().flat_map(|uid| index.ledger().nodes_of(uid));
        let own = nodes.filter_map(|node| Some((node, index.node(node)?.view_without(&uids)?)));
        Self {
            index,
            own: own.collect(),
        }
    }

    /// The nodes `names`, in this order. All are looked up before any is asked anything: the processor finds many at a time
    /// then, and does not wait for each.
    pub fn candidates<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Vec<Candidate<'n, '_>> {
        let candidates: Vec<_> = names.into_iter().map(|name| self.candidate(name)).collect();
        PreparedNode::fetch(candidates.iter().filter_map(|node| Some(node.space?.0)));
        candidates
    }

    /// The node `name`.
    #[must_use]
    pub fn candidate<'n>(&self, name: &'n str) -> Candidate<'n, '_> {
        let view = |space: &'v NodeSpace| self.own.get(name).or_else(|| space.view());
        let found = self.index.node(name);
        Candidate {
            name,
            space: found.and_then(|space| Some((view(space)?, space))),
        }
    }
}
