//! Looks at a pod that waits, and says what there is to say.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{Api, Client};
use placement::{Node, VolumeRequest};
use tracing::warn;

use super::tell::{Told, tell};
use super::{Asked, Board, WaitingPod, asked, refusal};
use crate::chain::chain;
use crate::claims::ClaimOfPod;
use crate::index::SharedIndex;

/// Looks at pods that wait, one after the other: the API server has more important things to do.
pub struct Looker {
    client: Client,
    index: SharedIndex,
}

/// Why a pod could not be looked at.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error("claim {claim} not read")]
    Claim {
        claim: String,
        #[source]
        source: kube::Error,
    },
    #[error("nodes not compared")]
    Compare(#[source] tokio::task::JoinError),
    #[error("event not published")]
    Event(#[source] kube::Error),
}

impl LookError {
    /// Whether it is still known what was said: not so, once the API server did not take an event.
    fn leaves_what_was_said(&self) -> bool {
        match self {
            Self::Claim { .. } | Self::Compare(_) => true,
            Self::Event(_) => false,
        }
    }
}

/// What came of it: what was said of the pod, and whether to look again without being asked.
type Looked = (Option<Told>, bool);

impl Looker {
    /// One that knows what is in `index`, once that is synced.
    #[must_use]
    pub fn new(client: Client, index: SharedIndex) -> Self {
        Self { client, index }
    }

    /// Looks at all pods that are due.
    pub async fn look_at_due(&self, board: &Board) {
        while let Some((pod, told)) = board.take_due() {
            match self.look(&pod, told.clone()).await {
                Ok((told, ours)) => board.looked_at(&pod, told, ours),
                Err(error) => {
                    let (name, namespace) = (&pod.reference.name, pod.namespace());
                    warn!(pod = name, namespace, error = chain(&error), "trying again");
                    board.looked_at(&pod, told.filter(|_| error.leaves_what_was_said()), true);
                }
            }
        }
    }

    async fn look(&self, pod: &WaitingPod, told: Option<Told>) -> Result<Looked, LookError> {
        let Some(claims) = self.claims(pod).await? else {
            return Ok((told, true));
        };
        let requests = match self.index.read(|index| asked(pod, &claims, index)) {
            Asked::Nothing => return Ok((told, false)),
            Asked::Chosen => return Ok((told, true)),
            Asked::Impossible(why) => return self.tell(pod, why, told).await,
            Asked::Space(requests) => requests,
        };
        match self.refusal(requests).await? {
            Some(why) => self.tell(pod, why, told).await,
            None => Ok((told, true)),
        }
    }

    async fn tell(&self, pod: &WaitingPod, why: String, told: Option<Told>) -> Result<Looked, LookError> {
        let told = tell(&self.client, pod, why, told).await.map_err(LookError::Event)?;
        Ok((Some(told), true))
    }

    /// The claims of the pod; none while one of them does not exist.
    async fn claims(&self, pod: &WaitingPod) -> Result<Option<Vec<(ClaimOfPod, PersistentVolumeClaim)>>, LookError> {
        let api = Api::<PersistentVolumeClaim>::namespaced(self.client.clone(), pod.namespace());
        let mut claims = Vec::new();
        for of in &pod.claims {
            let read = api.get_opt(&of.name).await.map_err(|source| LookError::Claim {
                claim: of.name.clone(),
                source,
            })?;
            let Some(claim) = read else { return Ok(None) };
            claims.push((of.clone(), claim));
        }
        Ok(Some(claims))
    }

    /// Why no node holds `wants`. Away from the tasks that serve CSI, and the index is locked for one node at a time:
    /// there can be thousands.
    async fn refusal(&self, requests: Vec<VolumeRequest>) -> Result<Option<String>, LookError> {
        let index = self.index.clone();
        let compare = move || refusal(&requests, views(&index));
        tokio::task::spawn_blocking(compare).await.map_err(LookError::Compare)
    }
}

fn views(index: &SharedIndex) -> impl Iterator<Item = (String, Node)> {
    let names: Vec<String> = index.read(|index| index.node_names().map(Into::into).collect());
    names
        .into_iter()
        .filter_map(|name| Some((index.read(|index| index.free_space(&name))?, name)))
        .map(|(view, name)| (name, view))
}
