//! Reading, writing and deleting volumes at the API server.

use cluster::VolumeOfOurs;
use crds::{PmemNode, PmemVolume};
use k8s_openapi::api::core::v1::{Node, PersistentVolume};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt};

use super::ApiError;
use crate::controller::deletion::{Reason, patch, patch_without_finalizer, with_record};
use crate::controller::volume_id::VolumeId;
use crate::index::{Held, NamedVolume};

/// Reads, writes and deletes `PmemVolumes`. Clones share one client.
#[derive(Clone)]
pub struct VolumesApi {
    volumes: Api<PmemVolume>,
    persistent_volumes: Api<PersistentVolume>,
    nodes: Api<Node>,
    pmem_nodes: Api<PmemNode>,
}

impl VolumesApi {
    /// All calls go through `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            volumes: Api::all(client.clone()),
            persistent_volumes: Api::all(client.clone()),
            nodes: Api::all(client.clone()),
            pmem_nodes: Api::all(client),
        }
    }

    /// The volume, if it exists: read from the API server, so newer than any watch.
    ///
    /// # Errors
    /// If the API server does not answer; nothing is known of the volume then.
    pub async fn get(&self, id: &VolumeId) -> Result<Option<PmemVolume>, ApiError> {
        let volume = self.volumes.get_opt(id.as_str()).await;
        volume.map_err(|error| ApiError::new("look up volume", id, error))
    }

    /// Writes a new volume and returns it as it was stored, with its uid.
    ///
    /// # Errors
    /// A conflict if a volume of that name exists. After [`ApiError::Unavailable`], it may have been stored.
    pub async fn create(&self, id: &VolumeId, volume: &PmemVolume) -> Result<PmemVolume, ApiError> {
        let created = self.volumes.create(&PostParams::default(), volume).await;
        created.map_err(|error| ApiError::new("create volume", id, error))
    }

    /// Deletes a volume so that its node erases its bytes: first the record of that and the finalizer, in one patch, then
    /// the deletion. Returns it as it is afterwards; none if its node has let it go already. No other way of deleting it
    /// erases anything.
    ///
    /// # Errors
    /// Outdated if `volume` is not the version at the API server. In each case: unless the deletion is confirmed, read the
    /// volume and try again.
    pub async fn erase(
        &self,
        id: &VolumeId,
        volume: &PmemVolume,
        reason: Reason,
    ) -> Result<Option<PmemVolume>, ApiError> {
        let patch = Patch::Merge(patch(volume, reason));
        let recorded = self.volumes.patch(id.as_str(), &PatchParams::default(), &patch).await;
        let recorded = recorded.map_err(|error| ApiError::new("record the deletion of volume", id, error))?;
        self.delete_exactly(id, &recorded).await
    }

    /// Lets a deleted volume go whose node cannot say that it erases it.
    ///
    /// # Errors
    /// Outdated if `volume` is not the version at the API server.
    pub async fn let_go(&self, id: &VolumeId, volume: &PmemVolume) -> Result<(), ApiError> {
        let patch = Patch::Merge(patch_without_finalizer(volume));
        let patched = self.volumes.patch(id.as_str(), &PatchParams::default(), &patch).await;
        patched
            .map(drop)
            .map_err(|error| ApiError::new("let go of volume", id, error))
    }

    /// Writes a volume that is there but has no object any more, and deletes it for `reason`, so that its node erases its bytes.
    ///
    /// # Errors
    /// Outdated if there is an object. In each case: unless the deletion is confirmed, read the volume and try again.
    pub async fn create_to_erase(&self, id: &VolumeId, volume: PmemVolume, reason: Reason) -> Result<(), ApiError> {
        let created = self.create(id, &with_record(volume, reason)).await?;
        self.delete_exactly(id, &created).await.map(drop)
    }

    /// Whether the node that volume `id` is said to be on exists.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub async fn has_node(&self, id: &VolumeId, node: &str) -> Result<bool, ApiError> {
        let read = self.nodes.get_metadata_opt(node).await;
        let node = read.map_err(|error| ApiError::new("look up the node of volume", id, error))?;
        Ok(node.is_some())
    }

    /// The `PersistentVolume` of volume `id`, as it is now. external-provisioner calls both alike.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub async fn named(&self, id: &VolumeId) -> Result<Option<NamedVolume>, ApiError> {
        let read = self.persistent_volumes.get_opt(id.as_str()).await;
        let named = read.map_err(|error| ApiError::new("look up the PersistentVolume of volume", id, error))?;
        let ours = named.as_ref().and_then(NamedVolume::of);
        Ok(ours.filter(|ours| *ours.volume.handle == *id.as_str()))
    }

    /// What the node that volume `id` is said to be on reports now: newer than any watch.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub async fn report_of(&self, id: &VolumeId, node: &str) -> Result<Option<PmemNode>, ApiError> {
        let read = self.pmem_nodes.get_opt(node).await;
        read.map_err(|error| ApiError::new("read what the node reports of volume", id, error))
    }

    /// What is there of a node that volume `id` may be on now: newer than any watch.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub async fn held_of(&self, id: &VolumeId, node: &str) -> Result<Held, ApiError> {
        let failed = |error| ApiError::new("read what there is on the node of volume", id, error);
        // In this order: what the report contains is among the volumes, or was.
        let of_node = ListParams::default().fields(&format!("spec.node={node}"));
        let volumes = self.volumes.list_metadata(&of_node).await.map_err(failed)?;
        let report = self.pmem_nodes.get_metadata_opt(node).await.map_err(failed)?;
        let named = volumes.items.into_iter();
        Ok(Held {
            node: node.into(),
            report: report.map(|report| report.metadata),
            volumes: named.map(|volume| (volume.name_any(), volume.metadata)).collect(),
            revision: volumes.metadata.resource_version.unwrap_or_default(),
        })
    }

    /// By uid and resource version. One that does not exist any more counts as success.
    async fn delete_exactly(&self, id: &VolumeId, volume: &PmemVolume) -> Result<Option<PmemVolume>, ApiError> {
        let seen = Preconditions {
            uid: volume.metadata.uid.clone(),
            resource_version: volume.metadata.resource_version.clone(),
        };
        let deleted = self
            .volumes
            .delete(id.as_str(), &DeleteParams::default().preconditions(seen))
            .await;
        match deleted {
            Ok(object_or_status) => Ok(object_or_status.left()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
            Err(error) => Err(ApiError::new("delete volume", id, error)),
        }
    }

    /// Whether the `PersistentVolume` `name` exists and its volume handle is `id`: a pod may use the volume then.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub async fn has_persistent_volume(&self, id: &VolumeId, name: &str) -> Result<bool, ApiError> {
        let read = self.persistent_volumes.get_opt(name).await;
        let persistent_volume =
            read.map_err(|error| ApiError::new("look up the PersistentVolume of volume", id, error))?;
        let ours = persistent_volume.as_ref().and_then(VolumeOfOurs::of);
        Ok(ours.is_some_and(|ours| *ours.handle == *id.as_str()))
    }
}
