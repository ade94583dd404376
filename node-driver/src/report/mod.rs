//! Reports what the node has, as its PmemNode, whenever that changes.

mod status;
mod written;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crds::{ErasingVolume, PmemNode, PmemNodeStatus};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watch_object};
use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::FIELD_MANAGER;
use crate::conditions::{NewCondition, set};
use crate::layout::LastListing;
use crate::volumes::{Erasures, Objects, UnknownBytes};
use status::{KnownVolumes, next_status};
pub use written::follow_written;

const AFTER_ERROR: Duration = Duration::from_secs(2);

/// Writes the PmemNode of one node.
pub struct Reporter {
    nodes: Api<Node>,
    pmem_nodes: Api<PmemNode>,
    name: String,
    backend: &'static str,
    objects: Objects,
    erasures: watch::Receiver<BTreeMap<String, ErasingVolume>>,
    unknown: watch::Receiver<UnknownBytes>,
    /// A condition that does not follow from the devices.
    host: Option<NewCondition>,
    /// What was reported last. It outlives the object: while devices cannot be listed, it is the last listing.
    reported: PmemNodeStatus,
    /// Whether the object exists and has that status, unless somebody changed it since.
    is_written: bool,
}

/// The PmemNode could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Its UID is needed for the owner reference.
    #[error("cannot read Node {name}")]
    Owner {
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
    #[error("cannot write PmemNode {name}")]
    Write {
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
}

impl Reporter {
    /// Reports for node `name`. `objects` has to hold the volumes of this node, and `reported` is the status in the cluster.
    #[must_use]
    pub fn new(
        client: &kube::Client,
        name: &str,
        backend: &'static str,
        objects: Objects,
        erasures: &Erasures,
        reported: Option<PmemNodeStatus>,
    ) -> Self {
        Self {
            nodes: Api::all(client.clone()),
            pmem_nodes: Api::all(client.clone()),
            name: name.into(),
            backend,
            objects,
            erasures: erasures.subscribe(),
            unknown: watch::Sender::default().subscribe(),
            host: None,
            is_written: reported.is_some(),
            reported: reported.unwrap_or_default(),
        }
    }

    /// Reports this condition, too.
    #[must_use]
    pub fn with_condition(self, host: Option<NewCondition>) -> Self {
        Self { host, ..self }
    }

    /// Reports as well which free bytes may hold something.
    #[must_use]
    pub fn with_unknown(self, unknown: watch::Receiver<UnknownBytes>) -> Self {
        Self { unknown, ..self }
    }

    /// Reports whenever `last` changes or `volumes_changed` is notified, until `stop`. What failed is repeated.
    pub async fn run(
        mut self,
        mut last: watch::Receiver<LastListing>,
        volumes_changed: Arc<Notify>,
        stop: CancellationToken,
    ) {
        // Without the objects, all volumes would look kept.
        if stop.run_until_cancelled(self.objects.changed()).await.is_none() {
            return;
        }
        let mut shown = pin!(watch_object(self.pmem_nodes.clone(), &self.name).default_backoff());
        while !stop.is_cancelled() {
            let now = last.borrow_and_update().clone();
            let Some(reported) = stop.run_until_cancelled(self.report(&now)).await else {
                return;
            };
            if let Err(error) = &reported {
                let error = error as &dyn std::error::Error;
                tracing::warn!(error, "cannot report what this node has; it will be repeated");
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = volumes_changed.notified() => {}
                () = self.objects.changed() => {}
                Ok(()) = self.erasures.changed() => {}
                Ok(()) = self.unknown.changed() => {}
                changed = last.changed() => if changed.is_err() { return },
                Some(object) = shown.next() => self.compare(object).await,
                () = sleep(AFTER_ERROR), if reported.is_err() => {}
            }
        }
    }

    /// Writes the status that follows from the last listing, unless it is written already.
    async fn report(&mut self, last: &LastListing) -> Result<(), ReportError> {
        let objects = self.objects.look().unwrap_or_default();
        let known = KnownVolumes {
            objects: &objects,
            erasing: &self.erasures.borrow_and_update().clone(),
            unknown: &self.unknown.borrow_and_update().clone(),
        };
        let now = program::now();
        let Some(mut status) = next_status(&self.reported, last, self.backend, known, now) else {
            return Ok(());
        };
        if let Some(host) = &self.host {
            status.conditions = set(&status.conditions, host, now);
        }
        if self.is_written && self.reported == status {
            return Ok(());
        }
        if !self.is_written {
            self.create_object().await?;
        }
        // Somebody may have deleted it: unless this succeeds, it is made again.
        self.is_written = false;
        self.write_status(&status).await?;
        self.is_written = true;
        tracing::info!(layout_revision = status.layout_revision, "reported");
        self.reported = status;
        Ok(())
    }

    /// Makes the object, owned by its Node, unless it exists.
    async fn create_object(&self) -> Result<(), ReportError> {
        let node = self.nodes.get(&self.name).await;
        let node = node.map_err(|source| ReportError::Owner {
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
        made.map(drop).map_err(|source| self.not_written(source))
    }

    async fn write_status(&self, status: &PmemNodeStatus) -> Result<(), ReportError> {
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
        written.map(drop).map_err(|source| self.not_written(source))
    }

    /// Notices that somebody deleted the object or changed its status, or restored an old one; the next report writes it again.
    /// What the watch shows may be older than what was written, so the API server is asked before anything is.
    async fn compare(&mut self, shown: watcher::Result<Option<PmemNode>>) {
        if !self.is_written || shown.is_ok_and(|shown| self.is_as_reported(shown)) {
            return;
        }
        match self.pmem_nodes.get_opt(&self.name).await {
            Ok(found) => self.is_written = self.is_as_reported(found),
            // Nobody shows it again, and writing it once too often does no harm.
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "cannot read the PmemNode, writing it again");
                self.is_written = false;
            }
        }
    }

    /// Compared as written: the API server keeps whole seconds of times.
    fn is_as_reported(&self, found: Option<PmemNode>) -> bool {
        let written = |status: &PmemNodeStatus| serde_json::to_value(status).ok();
        found.and_then(|found| found.status).and_then(|found| written(&found)) == written(&self.reported)
    }

    fn not_written(&self, source: kube::Error) -> ReportError {
        ReportError::Write {
            name: self.name.clone(),
            source: Box::new(source),
        }
    }
}

fn parameters() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER).force()
}

#[cfg(test)]
mod tests;
