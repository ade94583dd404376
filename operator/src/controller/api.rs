//! The API server, as far as volumes go.

use crds::{DRIVER_NAME, PmemVolume};
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::core::Status;
use kube::{Api, Client};

use super::volume_id::VolumeId;

/// The API server did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// It said no.
    #[error("the API server refuses to {doing} {id}: {} ({})", .status.message, .status.reason)]
    Refused {
        /// What was asked.
        doing: &'static str,
        /// Of which volume.
        id: VolumeId,
        /// The answer.
        status: Box<Status>,
    },
    /// It cannot be reached, or is not well.
    #[error("the API server cannot {doing} {id} now")]
    Unavailable {
        /// What was asked.
        doing: &'static str,
        /// Of which volume.
        id: VolumeId,
        /// Why.
        #[source]
        source: kube::Error,
    },
}

impl ApiError {
    pub(super) fn of(doing: &'static str, id: &VolumeId, error: kube::Error) -> Self {
        let id = id.clone();
        match error {
            kube::Error::Api(status) if (400..500).contains(&status.code) && status.code != 429 => {
                Self::Refused { doing, id, status }
            }
            source => Self::Unavailable { doing, id, source },
        }
    }

    /// Whether somebody else was faster: the object is there already, or was changed.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        match self {
            Self::Refused { status, .. } => status.code == 409,
            Self::Unavailable { .. } => false,
        }
    }
}

/// Reads and writes `PmemVolumes`.
#[derive(Clone)]
pub struct VolumesApi {
    volumes: Api<PmemVolume>,
    persistent_volumes: Api<PersistentVolume>,
}

impl VolumesApi {
    /// Through this client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            volumes: Api::all(client.clone()),
            persistent_volumes: Api::all(client),
        }
    }

    /// The volume, if it exists.
    ///
    /// # Errors
    /// If the API server does not answer that.
    pub async fn get(&self, id: &VolumeId) -> Result<Option<PmemVolume>, ApiError> {
        let found = self.volumes.get_opt(id.as_str()).await;
        found.map_err(|error| ApiError::of("look up volume", id, error))
    }

    /// Writes a new volume and returns it as it was stored.
    ///
    /// # Errors
    /// If it is not stored for certain.
    pub async fn create(&self, id: &VolumeId, volume: &PmemVolume) -> Result<PmemVolume, ApiError> {
        let created = self.volumes.create(&PostParams::default(), volume).await;
        created.map_err(|error| ApiError::of("create volume", id, error))
    }

    /// Asks for the deletion of a volume, whatever version it is, and returns it if it is still there, as its finalizer
    /// holds it.
    ///
    /// # Errors
    /// If the deletion is not recorded for certain.
    pub async fn delete(&self, id: &VolumeId) -> Result<Option<PmemVolume>, ApiError> {
        self.delete_if(id, DeleteParams::default()).await
    }

    /// Asks for the deletion of exactly this version of a volume.
    ///
    /// # Errors
    /// If the deletion is not recorded for certain; a conflict if the volume is another version by now.
    pub async fn delete_exactly(&self, id: &VolumeId, volume: &PmemVolume) -> Result<Option<PmemVolume>, ApiError> {
        let seen = Preconditions {
            uid: volume.metadata.uid.clone(),
            resource_version: volume.metadata.resource_version.clone(),
        };
        self.delete_if(id, DeleteParams::default().preconditions(seen)).await
    }

    /// Whether the `PersistentVolume` `name` stands for the volume.
    ///
    /// # Errors
    /// If the API server does not answer that.
    pub async fn has_persistent_volume(&self, id: &VolumeId, name: &str) -> Result<bool, ApiError> {
        let found = self.persistent_volumes.get_opt(name).await;
        let found = found.map_err(|error| ApiError::of("look up the PersistentVolume of volume", id, error))?;
        let csi = found.and_then(|volume| volume.spec).and_then(|spec| spec.csi);
        Ok(csi.is_some_and(|csi| csi.driver == DRIVER_NAME && csi.volume_handle == id.as_str()))
    }

    async fn delete_if(&self, id: &VolumeId, how: DeleteParams) -> Result<Option<PmemVolume>, ApiError> {
        match self.volumes.delete(id.as_str(), &how).await {
            Ok(answer) => Ok(answer.left()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
            Err(error) => Err(ApiError::of("delete volume", id, error)),
        }
    }
}
