//! The state that all calls of the Controller service share.

use csi::VolumeLocks;
use kube::Client;
use placement::Policy;
use tokio_util::sync::CancellationToken;

use super::api::VolumesApi;
use crate::claims_api::ClaimsApi;
use crate::index::SharedIndex;

/// The Controller service: each call is a method, beside its own errors. Clones share their state.
#[derive(Clone)]
pub struct Service {
    pub(super) volumes: VolumesApi,
    pub(super) claims: ClaimsApi,
    pub(super) index: SharedIndex,
    pub(super) locks: VolumeLocks,
    /// Which node is best for a volume that is made without a pod.
    pub(super) policy: Policy,
    pub(super) stop: CancellationToken,
}

impl Service {
    /// What it decides from.
    #[must_use]
    pub fn index(&self) -> &SharedIndex {
        &self.index
    }

    /// Decides from `index` and writes through `client`. Calls that wait for a node end with UNAVAILABLE at `stop`.
    #[must_use]
    pub fn new(client: Client, index: SharedIndex, stop: CancellationToken) -> Self {
        Self {
            volumes: VolumesApi::new(client.clone()),
            claims: ClaimsApi::new(client),
            index,
            locks: VolumeLocks::default(),
            policy: Policy::default(),
            stop,
        }
    }

    /// The same, with this policy for volumes that are made without a pod.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }
}
