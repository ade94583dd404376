//! Reading, writing and deleting volumes at the API server.

use crds::{DRIVER_NAME, PmemVolume};
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::{Api, Client};

use super::ApiError;
use crate::controller::volume_id::VolumeId;

/// Reads, writes and deletes `PmemVolumes`. Clones share one client.
#[derive(Clone)]
pub struct VolumesApi {
    volumes: Api<PmemVolume>,
    persistent_volumes: Api<PersistentVolume>,
}

impl VolumesApi {
    /// All calls go through `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            volumes: Api::all(client.clone()),
            persistent_volumes: Api::all(client),
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

    /// Asks for the deletion of a volume, whatever its version, and returns it while its finalizer keeps it there. One
    /// that does not exist counts as success.
    ///
    /// # Errors
    /// If the API server did not confirm that the deletion is recorded: ask again.
    pub async fn delete(&self, id: &VolumeId) -> Result<Option<PmemVolume>, ApiError> {
        self.delete_with(id, DeleteParams::default()).await
    }

    /// Asks for the deletion of `volume` if this is still its version at the API server, by uid and resource version.
    ///
    /// # Errors
    /// A conflict if it was changed since. Otherwise, if the deletion is not confirmed.
    pub async fn delete_exactly(&self, id: &VolumeId, volume: &PmemVolume) -> Result<Option<PmemVolume>, ApiError> {
        let seen = Preconditions {
            uid: volume.metadata.uid.clone(),
            resource_version: volume.metadata.resource_version.clone(),
        };
        self.delete_with(id, DeleteParams::default().preconditions(seen)).await
    }

    /// Whether the `PersistentVolume` `name` exists and its volume handle is `id`: a pod may use the volume then.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub async fn has_persistent_volume(&self, id: &VolumeId, name: &str) -> Result<bool, ApiError> {
        let read = self.persistent_volumes.get_opt(name).await;
        let persistent_volume =
            read.map_err(|error| ApiError::new("look up the PersistentVolume of volume", id, error))?;
        let csi = persistent_volume
            .and_then(|volume| volume.spec)
            .and_then(|spec| spec.csi);
        Ok(csi.is_some_and(|csi| csi.driver == DRIVER_NAME && csi.volume_handle == id.as_str()))
    }

    async fn delete_with(&self, id: &VolumeId, parameters: DeleteParams) -> Result<Option<PmemVolume>, ApiError> {
        match self.volumes.delete(id.as_str(), &parameters).await {
            Ok(object_or_status) => Ok(object_or_status.left()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
            Err(error) => Err(ApiError::new("delete volume", id, error)),
        }
    }
}
