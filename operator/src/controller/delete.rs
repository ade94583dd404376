//! DeleteVolume: records that a volume is to be erased.

use csi::v1::DeleteVolumeRequest;
use csi::{Busy, RpcError};
use tonic::Code;
use tracing::info;

use super::api::ApiError;
use super::service::Service;
use super::volume_id::VolumeId;

/// Why the deletion of a volume is not recorded.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// CSI requires an id.
    #[error("no volume id is given")]
    NoId,
    /// Another call works on the volume.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The API server did not do what it was asked to.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl RpcError for DeleteError {
    /// CSI "DeleteVolume Errors".
    fn code(&self) -> Code {
        match self {
            Self::NoId => Code::InvalidArgument,
            Self::Busy(_) => Code::Aborted,
            Self::Api(error) => error.code(),
        }
    }
}

impl Service {
    /// Records that the volume is to be deleted. Its node erases it in the background; until then its PmemVolume stays
    /// and its space is taken. Already gone counts as success.
    ///
    /// # Errors
    /// If it is not certain that the deletion is recorded: the caller tries again.
    pub async fn delete(&self, request: &DeleteVolumeRequest) -> Result<(), DeleteError> {
        if request.volume_id.is_empty() {
            return Err(DeleteError::NoId);
        }
        let Some(id) = VolumeId::parse(&request.volume_id) else {
            return Ok(());
        };
        let _lock = self.locks.take(id.as_str())?;
        if let Some(volume) = self.volumes.delete(&id).await? {
            info!(volume = %id, node = volume.spec.node, "volume deleted, its node erases it");
            self.index.update(|index| index.refresh_volume(id.as_str(), volume));
        }
        Ok(())
    }
}
