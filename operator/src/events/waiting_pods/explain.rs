//! Finds out why no node has what a pod that waits requires, and records that in an event.

use cluster::{
    ClaimStage, Impossible, IndexedOrRead, NotIndexed, ReadObjects, Requirements, SpaceRequirements, requirements_of,
};
use crds::ErasingVolume;
use kube::Client;
use placement::Node;
use tracing::warn;

use super::being_erased::being_erased;
use super::event::{RecordedEvent, record};
use super::pod::WaitingPod;
use super::queue::WaitingPods;
use super::refusal::refusal;
use crate::claims_api::ClaimsApi;
use crate::index::SharedIndex;

/// Explains pods that wait, one after the other, so that they burden the API server little.
pub struct Explainer {
    client: Client,
    claims: ClaimsApi,
    index: SharedIndex,
}

/// Why a pod could not be explained.
#[derive(Debug, thiserror::Error)]
enum ExplainError {
    #[error("{} not read", name_of(.0))]
    Read(NotIndexed, #[source] kube::Error),
    #[error("nodes not compared")]
    Compare(#[source] tokio::task::JoinError),
    #[error("the event about a pod that waits is not recorded")]
    Event(#[source] kube::Error),
}

impl ExplainError {
    /// Whether the event before is still the last one: nobody can tell once the API server did not take a new one.
    fn keeps_event(&self) -> bool {
        match self {
            Self::Read(..) | Self::Compare(_) => true,
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
        Self {
            claims: ClaimsApi::new(client.clone()),
            client,
            index,
        }
    }

    /// Explains all pods that are due.
    pub async fn explain_due(&self, pods: &WaitingPods) {
        while let Some((pod, event)) = pods.take_due() {
            match self.explain(&pod, event.clone()).await {
                Ok((event, ours)) => pods.explained(&pod, event, ours),
                Err(error) => {
                    let (pod_name, namespace) = (&pod.pod.name, &pod.pod.namespace);
                    warn!(pod = %pod_name, %namespace, error = program::chain(&error), "not explained why the pod waits, trying again");
                    pods.explained(&pod, event.filter(|_| error.keeps_event()), true);
                }
            }
        }
    }

    async fn explain(&self, pod: &WaitingPod, event: Option<RecordedEvent>) -> Result<Explained, ExplainError> {
        let space = match self.requirements(pod).await? {
            Requirements::Nothing => return Ok((event, false)),
            // kube-scheduler says so itself.
            Requirements::Impossible(Impossible::NoClaim(_)) => return Ok((event, true)),
            Requirements::Impossible(reason) => return self.record(pod, reason.to_string(), event).await,
            Requirements::Space(space) if is_being_made(&space) => return Ok((event, true)),
            Requirements::Space(space) if space.claims.is_empty() => return Ok((event, false)),
            Requirements::Space(space) => space,
        };
        match self.refusal(space).await? {
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

    /// What the pod requires, by the index and by what the API server has of its claims.
    async fn requirements(&self, pod: &WaitingPod) -> Result<Requirements, ExplainError> {
        let mut read = ReadObjects::default();
        loop {
            let requirements = self.index.read(|index| {
                let read = &read;
                requirements_of(&pod.pod, &IndexedOrRead { index, read })
            });
            match requirements {
                Ok(requirements) => return Ok(requirements),
                Err(missing) => self.read(missing, &mut read).await?,
            }
        }
    }

    async fn read(&self, missing: Vec<NotIndexed>, read: &mut ReadObjects) -> Result<(), ExplainError> {
        for object in missing {
            let result = match &object {
                NotIndexed::Claim(key) => self
                    .claims
                    .claim(key)
                    .await
                    .map(|claim| read.add_claim(key.clone(), claim)),
                NotIndexed::Class(name) => self
                    .claims
                    .class(name)
                    .await
                    .map(|class| read.add_class(name.clone(), class)),
                // The index never asks for one.
                NotIndexed::Volume(name) => {
                    read.add_volume(name.clone(), None);
                    Ok(())
                }
            };
            result.map_err(|error| ExplainError::Read(object, error))?;
        }
        Ok(())
    }

    /// Why no node holds `space`. Computed away from the tasks that serve CSI, and with the index locked for one node at a
    /// time: there can be thousands.
    async fn refusal(&self, space: SpaceRequirements) -> Result<Option<String>, ExplainError> {
        let index = self.index.clone();
        let compare = move || {
            let refusal = refusal(&space, free_spaces(&index))?;
            Some(match being_erased(&space, erasing(&index)) {
                Some(soon) => format!("{refusal}; {soon}"),
                None => refusal,
            })
        };
        program::spawn_blocking(compare).await.map_err(ExplainError::Compare)
    }
}

/// Whether a volume of the pod is on its way, or will be soon: what its claims ask for must not be counted against them.
fn is_being_made(space: &SpaceRequirements) -> bool {
    space.nodes.iter().any(|node| match node.stage {
        ClaimStage::BeingMade | ClaimStage::Selected => true,
        ClaimStage::Bound => false,
    })
}

fn name_of(object: &NotIndexed) -> String {
    match object {
        NotIndexed::Claim(key) => format!("claim {key}"),
        NotIndexed::Class(name) => format!("StorageClass {name}"),
        NotIndexed::Volume(name) => format!("PmemVolume {name}"),
    }
}

/// Each volume that is being erased, with its node.
fn erasing(index: &SharedIndex) -> impl Iterator<Item = (String, ErasingVolume)> {
    node_names(index).into_iter().flat_map(|name| {
        let volumes: Vec<ErasingVolume> = index.read(|index| {
            let status = index.node_status(&name).into_iter();
            let regions = status.flat_map(|status| &status.regions);
            regions.flat_map(|region| region.erasing.iter().cloned()).collect()
        });
        volumes.into_iter().map(move |volume| (name.clone(), volume))
    })
}

/// The name and the free space of each node.
fn free_spaces(index: &SharedIndex) -> impl Iterator<Item = (String, Node)> {
    node_names(index).into_iter().filter_map(|name| {
        let free = index.read(|index| index.free_space(&name))?;
        Some((name, free))
    })
}

fn node_names(index: &SharedIndex) -> Vec<String> {
    index.read(|index| index.node_names().map(Into::into).collect())
}
