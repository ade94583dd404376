//! Where volumes are read from and their statuses written to.

mod in_memory;
mod written;

use std::future::Future;
use std::sync::Arc;

use crds::{FINALIZER, PmemVolume, PmemVolumeStatus};
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::reflector::Store;
use serde_json::json;

use self::written::Written;
use crate::FIELD_MANAGER;

pub use in_memory::InMemoryRecord;

/// Where volumes are read from and their statuses written to: the cluster, or memory without one.
pub trait Record: Send + Sync + 'static {
    /// All volumes of this node. It may lag behind what others wrote.
    fn all(&self) -> Vec<Arc<PmemVolume>>;

    /// Replaces the volume's status. Returns the object as written.
    ///
    /// # Errors
    /// Among others, if the object has changed since `volume` was read, or another one has its name by now
    /// ([`RecordError::is_conflict`]).
    fn write_status(
        &self,
        volume: &PmemVolume,
        status: PmemVolumeStatus,
    ) -> impl Future<Output = Result<PmemVolume, RecordError>> + Send;

    /// The node whose volumes they are.
    fn node(&self) -> &str;

    /// The volume of this name on whatever node, as it is at this moment; none if there is none.
    fn read(&self, name: &str) -> impl Future<Output = Result<Option<PmemVolume>, RecordError>> + Send;

    /// Removes our finalizer. Already gone counts as success.
    fn remove_finalizer(&self, volume: &PmemVolume) -> impl Future<Output = Result<(), RecordError>> + Send;
}

/// A volume could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot read or write the state of volume {name}")]
pub struct RecordError {
    /// Name of the volume.
    pub name: String,
    /// What the API server answered.
    #[source]
    pub source: Box<kube::Error>,
}

impl RecordError {
    /// Whether the object has changed since it was read, or is another one.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(&*self.source, kube::Error::Api(status) if status.code == 409)
    }
}

/// The volumes of this node in the cluster.
#[derive(Clone)]
pub struct ClusterRecord {
    node: String,
    api: Api<PmemVolume>,
    store: Store<PmemVolume>,
    written: Written,
}

impl ClusterRecord {
    /// Writes to `client`'s cluster and reads volumes from `store`, which has to hold those of `node`.
    #[must_use]
    pub fn new(client: kube::Client, node: &str, store: Store<PmemVolume>) -> Self {
        Self {
            node: node.to_owned(),
            api: Api::all(client),
            store,
            written: Written::default(),
        }
    }

    fn noted(&self, volume: PmemVolume) -> PmemVolume {
        self.written.note(&volume);
        volume
    }

    async fn set_finalizers(&self, volume: &PmemVolume, finalizers: Vec<String>) -> Result<PmemVolume, RecordError> {
        // The resource version makes a change that somebody else made meanwhile a conflict.
        let patch = json!({ "metadata": {
            "resourceVersion": volume.metadata.resource_version,
            "finalizers": finalizers,
        }});
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..PatchParams::default()
        };
        let name = name(volume);
        let patched = self.api.patch(name, &parameters, &Patch::Merge(patch)).await;
        patched.map(|volume| self.noted(volume)).map_err(failed(name))
    }
}

impl Record for ClusterRecord {
    fn all(&self) -> Vec<Arc<PmemVolume>> {
        self.written.newest(self.store.state())
    }

    async fn write_status(&self, volume: &PmemVolume, status: PmemVolumeStatus) -> Result<PmemVolume, RecordError> {
        // A status that follows from an older version of the object would take away what was recorded since.
        let patch = json!({
            "apiVersion": "daxfit.dev/v1alpha1",
            "kind": "PmemVolume",
            "metadata": {
                "name": volume.metadata.name,
                "uid": volume.metadata.uid,
                "resourceVersion": volume.metadata.resource_version,
            },
            "status": status,
        });
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let name = name(volume);
        let patched = self.api.patch_status(name, &parameters, &Patch::Apply(patch)).await;
        patched.map(|volume| self.noted(volume)).map_err(failed(name))
    }

    fn node(&self) -> &str {
        &self.node
    }

    async fn read(&self, name: &str) -> Result<Option<PmemVolume>, RecordError> {
        let found = self.api.get_opt(name).await.map_err(failed(name))?;
        Ok(found.map(|found| self.noted(found)))
    }

    async fn remove_finalizer(&self, volume: &PmemVolume) -> Result<(), RecordError> {
        let mut finalizers = volume.metadata.finalizers.clone().unwrap_or_default();
        finalizers.retain(|finalizer| finalizer != FINALIZER);
        match self.set_finalizers(volume, finalizers).await {
            Err(RecordError { source, .. }) if is_gone(&source) => Ok(()),
            done => done.map(drop),
        }
    }
}

fn name(volume: &PmemVolume) -> &str {
    volume.metadata.name.as_deref().unwrap_or_default()
}

fn failed(name: &str) -> impl FnOnce(kube::Error) -> RecordError {
    let name = name.to_owned();
    move |source| RecordError {
        name,
        source: Box::new(source),
    }
}

fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

#[cfg(test)]
mod tests;
