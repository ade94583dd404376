//! What a pod requires, in the form in which thousands of nodes are asked for it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cluster::{
    IndexedOrRead, NotIndexed, Pod, ReadObjects, Requirements, ServedClaims, SpaceRequirements, UnprovisionedClaim,
    requirements_beside, requirements_of,
};
use placement::PodRequest;

use crate::state::State;

/// What a pod requires: not the same where kube-scheduler binds its claims to volumes that exist.
#[derive(Debug)]
pub struct PreparedRequirements {
    /// On nodes with volumes that cannot be reached from everywhere.
    nodes: HashMap<Box<str>, NodeRequirements>,
    elsewhere: NodeRequirements,
}

/// What a pod requires of a node.
#[derive(Debug)]
pub struct NodeRequirements {
    /// The claims that kube-scheduler binds to volumes that exist.
    pub served: ServedClaims,
    /// What the others require.
    pub others: OtherClaims,
}

/// What claims require that are bound, or get a volume of their own: [`Requirements`], with what does not depend on the node
/// worked out once.
#[derive(Debug)]
pub enum OtherClaims {
    /// Nothing of ours: any node will do.
    Nothing,
    /// What no node has, as the text says.
    Impossible(Arc<str>),
    /// All of this.
    Space {
        /// The claims without a volume, and the nodes that the others are on.
        space: SpaceRequirements,
        /// What the claims without a volume ask for, in their order.
        pod_request: PodRequest,
    },
}

impl PreparedRequirements {
    /// What `pod` requires, by the state and by what was `read` from the API server because the state did not have it.
    ///
    /// # Errors
    /// What has to be read from the API server first; there may be more to read after that.
    pub fn of(pod: &Pod, state: &State, read: &ReadObjects) -> Result<Self, Vec<NotIndexed>> {
        let index = state.index();
        let lookup = IndexedOrRead { index, read };
        // The claims have to be known before it is known what they are bound to.
        let beside_nothing = requirements_of(pod, &lookup)?;
        let bindings = state.bindings(pod, &lookup);
        let beside = |served: &ServedClaims| -> Result<NodeRequirements, Vec<NotIndexed>> {
            let others = if served.is_empty() {
                beside_nothing.clone()
            } else {
                requirements_beside(served, pod, &lookup)?
            };
            Ok(NodeRequirements {
                served: served.clone(),
                others: others.into(),
            })
        };
        let mut nodes = HashMap::new();
        for (node, served) in bindings.nodes() {
            nodes.insert(node.into(), beside(served)?);
        }
        Ok(Self {
            nodes,
            elsewhere: beside(bindings.elsewhere())?,
        })
    }

    /// What it requires of the node of this name.
    #[must_use]
    pub fn on(&self, node: &str) -> &NodeRequirements {
        self.nodes.get(node).unwrap_or(&self.elsewhere)
    }

    /// What it requires of the node of this name, to ask that for it.
    pub fn on_mut(&mut self, node: &str) -> &mut NodeRequirements {
        self.nodes.get_mut(node).unwrap_or(&mut self.elsewhere)
    }

    /// What it requires of nodes without volumes that its claims can be bound to.
    #[must_use]
    pub fn elsewhere(&self) -> &NodeRequirements {
        &self.elsewhere
    }

    /// Whether they differ between nodes.
    #[must_use]
    pub fn differ(&self) -> bool {
        !self.nodes.is_empty()
    }

    /// Whether any node will do, and nothing has to be remembered.
    #[must_use]
    pub fn are_nothing(&self) -> bool {
        let is_nothing = |on: &NodeRequirements| on.served.is_empty() && matches!(on.others, OtherClaims::Nothing);
        self.nodes.is_empty() && is_nothing(&self.elsewhere)
    }

    /// The unique ids of the claims that are not bound.
    #[must_use]
    pub fn uids(&self) -> Vec<&str> {
        if self.nodes.is_empty() {
            return self.elsewhere.uids().collect();
        }
        let all: BTreeSet<&str> = self.each().flat_map(NodeRequirements::uids).collect();
        all.into_iter().collect()
    }

    /// Whether a claim needs space on any node.
    #[must_use]
    pub fn need_space(&self) -> bool {
        self.each().any(|on| !on.claims().is_empty())
    }

    fn each(&self) -> impl Iterator<Item = &NodeRequirements> {
        self.nodes.values().chain([&self.elsewhere])
    }
}

impl NodeRequirements {
    /// The claims that need space.
    #[must_use]
    pub fn claims(&self) -> &[UnprovisionedClaim] {
        match &self.others {
            OtherClaims::Nothing | OtherClaims::Impossible(_) => &[],
            OtherClaims::Space { space, .. } => &space.claims,
        }
    }

    /// What the claims that need space ask for; none if there are none.
    pub fn pod_request(&mut self) -> Option<&mut PodRequest> {
        match &mut self.others {
            OtherClaims::Space { pod_request, .. } if !pod_request.requests().is_empty() => Some(pod_request),
            OtherClaims::Nothing | OtherClaims::Impossible(_) | OtherClaims::Space { .. } => None,
        }
    }

    fn uids(&self) -> impl Iterator<Item = &str> {
        let served = self.served.values().map(|served| &*served.uid);
        self.claims().iter().map(|claim| &*claim.uid).chain(served)
    }
}

impl From<Requirements> for OtherClaims {
    fn from(requirements: Requirements) -> Self {
        match requirements {
            Requirements::Nothing => Self::Nothing,
            Requirements::Impossible(impossible) => Self::Impossible(impossible.to_string().into()),
            Requirements::Space(space) => Self::Space {
                pod_request: PodRequest::new(space.requests()),
                space,
            },
        }
    }
}
