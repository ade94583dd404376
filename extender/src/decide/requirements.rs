//! What a pod requires, in the form in which thousands of nodes are asked for it.

use std::sync::Arc;

use cluster::{IndexedOrRead, NotIndexed, Pod, ReadObjects, Requirements, SpaceRequirements, UnprovisionedClaim};
use placement::PodRequest;

use crate::index::Index;

/// What a pod requires: [`Requirements`], with what does not depend on the node worked out once.
#[derive(Debug)]
pub enum PreparedRequirements {
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
    /// What `pod` requires, by the index and by what was `read` from the API server because the index did not have it.
    ///
    /// # Errors
    /// What has to be read from the API server first; there may be more to read after that.
    pub fn of(pod: &Pod, index: &Index, read: &ReadObjects) -> Result<Self, Vec<NotIndexed>> {
        cluster::requirements_of(pod, &IndexedOrRead { index, read }).map(Self::from)
    }

    /// The claims that have no volume yet.
    #[must_use]
    pub fn claims(&self) -> &[UnprovisionedClaim] {
        match self {
            Self::Nothing | Self::Impossible(_) => &[],
            Self::Space { space, .. } => &space.claims,
        }
    }

    /// The unique ids of the claims that have no volume yet.
    #[must_use]
    pub fn uids(&self) -> Vec<&str> {
        self.claims().iter().map(|claim| &*claim.uid).collect()
    }
}

impl From<Requirements> for PreparedRequirements {
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
