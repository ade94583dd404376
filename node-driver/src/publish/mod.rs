//! Publishes what the node has, as its PmemNode, whenever that changes.

mod status;

use std::sync::Arc;
use std::time::Duration;

use crds::{PmemNode, PmemNodeStatus, PmemVolume};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::reflector::Store;
use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::FIELD_MANAGER;
use crate::layout::Seen;

pub use status::next_status;

/// How long to wait after the API server refused, and how often to see whether the object is there still.
const AFTER_ERROR: Duration = Duration::from_secs(2);
const SAFETY_NET: Duration = Duration::from_secs(60);

/// Publishes the PmemNode of one node.
pub struct Publisher {
    nodes: Api<Node>,
    pmem_nodes: Api<PmemNode>,
    name: String,
    backend: &'static str,
    volumes: Store<PmemVolume>,
    /// What was published last. It outlives the object: when devices cannot be listed, it is all that is known.
    published: PmemNodeStatus,
    /// Whether the cluster holds that, as far as known.
    is_there: bool,
}

/// The PmemNode could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The Node that owns it could not be read.
    #[error("cannot read Node {name}")]
    Owner {
        /// The node.
        name: String,
        /// What the API server said.
        #[source]
        source: Box<kube::Error>,
    },
    /// The API server refused.
    #[error("cannot write PmemNode {name}")]
    Write {
        /// The node.
        name: String,
        /// What the API server said.
        #[source]
        source: Box<kube::Error>,
    },
}

impl Publisher {
    /// Publishes for node `name`; `volumes` has to hold those of this node, and `published` is what the cluster holds.
    #[must_use]
    pub fn new(
        client: &kube::Client,
        name: &str,
        backend: &'static str,
        volumes: Store<PmemVolume>,
        published: Option<PmemNodeStatus>,
    ) -> Self {
        Self {
            nodes: Api::all(client.clone()),
            pmem_nodes: Api::all(client.clone()),
            name: name.into(),
            backend,
            volumes,
            is_there: published.is_some(),
            published: published.unwrap_or_default(),
        }
    }

    /// Publishes whenever `seen` changes or `volumes_changed` is notified, until `stop`. What failed is repeated.
    pub async fn run(mut self, mut seen: watch::Receiver<Seen>, volumes_changed: Arc<Notify>, stop: CancellationToken) {
        // Without the volumes, our own namespaces would look like somebody else's.
        if stop.run_until_cancelled(is_ready(&self.volumes)).await != Some(true) {
            return;
        }
        while !stop.is_cancelled() {
            let now = seen.borrow_and_update().clone();
            let pause = match stop.run_until_cancelled(self.publish(&now)).await {
                None => return,
                Some(Ok(())) => SAFETY_NET,
                Some(Err(error)) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "cannot publish what this node has; it will be repeated");
                    AFTER_ERROR
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = volumes_changed.notified() => {}
                changed = seen.changed() => if changed.is_err() { return },
                () = sleep(pause) => self.check().await,
            }
        }
    }

    /// Publishes what was seen, unless the cluster holds it already.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn publish(&mut self, seen: &Seen) -> Result<(), PublishError> {
        let ours: Vec<Arc<PmemVolume>> = self.volumes.state();
        let is_ours = |name: &str| ours.iter().any(|volume| volume.metadata.name.as_deref() == Some(name));
        let Some(status) = next_status(&self.published, seen, self.backend, is_ours, Timestamp::now()) else {
            return Ok(());
        };
        if self.is_there && self.published == status {
            return Ok(());
        }
        if !self.is_there {
            self.ensure().await?;
        }
        // Somebody may have deleted it: unless this succeeds, it is made again.
        self.is_there = false;
        self.write(&status).await?;
        self.is_there = true;
        tracing::info!(layout_revision = status.layout_revision, "published");
        self.published = status;
        Ok(())
    }

    /// Makes the object, owned by its Node.
    async fn ensure(&self) -> Result<(), PublishError> {
        let node = self.nodes.get(&self.name).await;
        let node = node.map_err(|source| PublishError::Owner {
            name: self.name.clone(),
            source: Box::new(source),
        })?;
        let patch = json!({
            "apiVersion": "daxfit.dev/v1alpha1",
            "kind": "PmemNode",
            "metadata": {
                "name": self.name,
                "ownerReferences": [{
                    "apiVersion": "v1",
                    "kind": "Node",
                    "name": self.name,
                    "uid": node.metadata.uid,
                }],
            },
        });
        let made = self
            .pmem_nodes
            .patch(&self.name, &parameters(), &Patch::Apply(patch))
            .await;
        made.map(drop).map_err(|source| self.refused(source))
    }

    async fn write(&self, status: &PmemNodeStatus) -> Result<(), PublishError> {
        let patch = json!({
            "apiVersion": "daxfit.dev/v1alpha1",
            "kind": "PmemNode",
            "metadata": { "name": self.name },
            "status": status,
        });
        let written = self
            .pmem_nodes
            .patch_status(&self.name, &parameters(), &Patch::Apply(patch))
            .await;
        written.map(drop).map_err(|source| self.refused(source))
    }

    /// Makes it again if somebody deleted it.
    async fn check(&mut self) {
        match self.pmem_nodes.get_opt(&self.name).await {
            Ok(found) => self.is_there &= found.is_some(),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "cannot see whether the PmemNode is there still");
            }
        }
    }

    fn refused(&self, source: kube::Error) -> PublishError {
        PublishError::Write {
            name: self.name.clone(),
            source: Box::new(source),
        }
    }
}

/// Waits until the volumes have been listed; no if nobody lists them any more.
///
/// The controller waits for the same, and of two that wait only the later one is woken (`DelayedInit` in kube-runtime 5.0 keeps
/// one waker), so ask again and again.
async fn is_ready(volumes: &Store<PmemVolume>) -> bool {
    loop {
        if let Ok(ready) = timeout(Duration::from_millis(50), volumes.wait_until_ready()).await {
            return ready.is_ok();
        }
    }
}

fn parameters() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER).force()
}

#[cfg(test)]
mod tests;
