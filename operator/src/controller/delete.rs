//! DeleteVolume: records that a volume is to go.

use csi::v1::DeleteVolumeRequest;
use tonic::Code;
use tracing::info;

use super::Service;
use super::api::ApiError;
use super::volume_id::VolumeId;

/// Why a volume is not going.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// It is not said which.
    #[error("no volume id is given")]
    NoId,
    /// Another call works on the volume.
    #[error("another call is at work on volume {0}: try again")]
    Busy(VolumeId),
    /// The API server.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl DeleteError {
    /// CSI "DeleteVolume Errors".
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NoId => Code::InvalidArgument,
            Self::Busy(_) => Code::Aborted,
            Self::Api(error) => super::api_code(error),
        }
    }
}

impl Service {
    /// Records that the volume is to go. Its node erases it in the background; until then its PmemVolume stays and its
    /// space is taken. A volume that does not exist is gone as well.
    ///
    /// # Errors
    /// If that is not recorded for certain.
    pub async fn delete(&self, request: &DeleteVolumeRequest) -> Result<(), DeleteError> {
        if request.volume_id.is_empty() {
            return Err(DeleteError::NoId);
        }
        let Some(id) = VolumeId::existing(&request.volume_id) else {
            return Ok(());
        };
        let _turn = self.turns.take(&id).ok_or_else(|| DeleteError::Busy(id.clone()))?;
        if let Some(volume) = self.api.delete(&id).await? {
            info!(volume = %id, node = volume.spec.node, "volume deleted, its node erases it");
            self.index.update(|index| index.refresh_volume(id.as_str(), volume));
        }
        Ok(())
    }
}
