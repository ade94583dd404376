//! Finds out why no node has what a pod that waits requires, and records that in an event.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{Api, Client};
use placement::{Node, VolumeRequest};
use tracing::warn;

use super::event::{RecordedEvent, record};
use super::pod::WaitingPod;
use super::queue::WaitingPods;
use super::refusal::refusal;
use super::requirements::{Requirements, requirements};
use crate::chain::chain;
use crate::claims::ClaimOfPod;
use crate::index::SharedIndex;

/// Explains pods that wait, one after the other, so that they burden the API server little.
pub struct Explainer {
    client: Client,
    index: SharedIndex,
}

/// Why a pod could not be explained.
#[derive(Debug, thiserror::Error)]
enum ExplainError {
    #[error("claim {claim} not read")]
    Claim {
        claim: String,
        #[source]
        source: kube::Error,
    },
    #[error("nodes not compared")]
    Compare(#[source] tokio::task::JoinError),
    #[error("event not recorded")]
    Event(#[source] kube::Error),
}

impl ExplainError {
    /// Whether the event before is still the last one: nobody can tell once the API server did not take a new one.
    fn keeps_event(&self) -> bool {
        match self {
            Self::Claim { .. } | Self::Compare(_) => true,
            Self::Event(_) => false,
        }
    }
}

/// The last event on the pod, and whether it waits for memory of ours.
type Explained = (Option<RecordedEvent>, bool);

impl Explainer {
    /// Explains from `index`, once that is synced; reads claims and records events through `client`.
    #[must_use]
    pub fn new(client: Client, index: SharedIndex) -> Self {
        Self { client, index }
    }

    /// Explains all pods that are due.
    pub async fn explain_due(&self, pods: &WaitingPods) {
        while let Some((pod, event)) = pods.take_due() {
            match self.explain(&pod, event.clone()).await {
                Ok((event, ours)) => pods.explained(&pod, event, ours),
                Err(error) => {
                    let (name, namespace) = (&pod.reference.name, pod.namespace());
                    warn!(pod = name, namespace, error = chain(&error), "trying again");
                    pods.explained(&pod, event.filter(|_| error.keeps_event()), true);
                }
            }
        }
    }

    async fn explain(&self, pod: &WaitingPod, event: Option<RecordedEvent>) -> Result<Explained, ExplainError> {
        let Some(claims) = self.claims(pod).await? else {
            return Ok((event, true));
        };
        let requests = match self.index.read(|index| requirements(pod, &claims, index)) {
            Requirements::Nothing => return Ok((event, false)),
            Requirements::Assigned => return Ok((event, true)),
            Requirements::Impossible(reason) => return self.record(pod, reason, event).await,
            Requirements::Space(requests) => requests,
        };
        match self.refusal(requests).await? {
            Some(reason) => self.record(pod, reason, event).await,
            None => Ok((event, true)),
        }
    }

    async fn record(
        &self,
        pod: &WaitingPod,
        reason: String,
        last: Option<RecordedEvent>,
    ) -> Result<Explained, ExplainError> {
        let event = record(&self.client, pod, reason, last).await;
        Ok((Some(event.map_err(ExplainError::Event)?), true))
    }

    /// The claims of the pod; none while one of them does not exist.
    async fn claims(&self, pod: &WaitingPod) -> Result<Option<Vec<(ClaimOfPod, PersistentVolumeClaim)>>, ExplainError> {
        let api = Api::<PersistentVolumeClaim>::namespaced(self.client.clone(), pod.namespace());
        let mut claims = Vec::new();
        for of in &pod.claims {
            let read = api.get_opt(&of.name).await.map_err(|source| ExplainError::Claim {
                claim: of.name.clone(),
                source,
            })?;
            let Some(claim) = read else { return Ok(None) };
            claims.push((of.clone(), claim));
        }
        Ok(Some(claims))
    }

    /// Why no node holds `requests`. Computed away from the tasks that serve CSI, and with the index locked for one node at
    /// a time: there can be thousands.
    async fn refusal(&self, requests: Vec<VolumeRequest>) -> Result<Option<String>, ExplainError> {
        let index = self.index.clone();
        let compare = move || refusal(&requests, free_spaces(&index));
        tokio::task::spawn_blocking(compare)
            .await
            .map_err(ExplainError::Compare)
    }
}

/// The name and the free space of each node.
fn free_spaces(index: &SharedIndex) -> impl Iterator<Item = (String, Node)> {
    let names: Vec<String> = index.read(|index| index.node_names().map(Into::into).collect());
    names.into_iter().filter_map(|name| {
        let free = index.read(|index| index.free_space(&name))?;
        Some((name, free))
    })
}
