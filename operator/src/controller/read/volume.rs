//! `ControllerGetVolume`: one volume.

use crds::PmemVolume;
use csi::RpcError;
use csi::v1::controller_get_volume_response::VolumeStatus;
use csi::v1::{ControllerGetVolumeRequest, ControllerGetVolumeResponse};
use tonic::Code;

use crate::controller::api::ApiError;
use crate::controller::response::{condition, to_csi};
use crate::controller::service::Service;
use crate::controller::volume_id::VolumeId;
use crate::controller::volume_status::is_usable;

/// Why a volume cannot be shown or checked.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// CSI requires an id.
    #[error("no volume id is given")]
    NoId,
    /// CSI requires a capability to check.
    #[error("no volume capability is given")]
    NoCapability,
    /// There is no volume of that id that can be used.
    #[error("volume {0:?} does not exist")]
    NotFound(String),
    /// The API server did not do what it was asked to.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl RpcError for ReadError {
    /// CSI "`ValidateVolumeCapabilities` Errors" and "`ControllerGetVolume` Errors".
    fn code(&self) -> Code {
        match self {
            Self::NoId | Self::NoCapability => Code::InvalidArgument,
            Self::NotFound(_) => Code::NotFound,
            Self::Api(error) => error.code(),
        }
    }
}

impl Service {
    /// One volume, as the API server has it.
    ///
    /// # Errors
    /// If there is no such volume that can be used, or the API server does not answer.
    pub async fn get(&self, request: &ControllerGetVolumeRequest) -> Result<ControllerGetVolumeResponse, ReadError> {
        let volume = self.usable_volume(&request.volume_id).await?;
        Ok(ControllerGetVolumeResponse {
            volume: Some(to_csi(&volume)),
            status: Some(VolumeStatus {
                published_node_ids: Vec::new(),
                volume_condition: Some(self.index.read(|index| condition(index, &volume))),
            }),
        })
    }

    pub(super) async fn usable_volume(&self, id: &str) -> Result<PmemVolume, ReadError> {
        if id.is_empty() {
            return Err(ReadError::NoId);
        }
        let not_found = || ReadError::NotFound(id.into());
        let volume = self.volumes.get(&VolumeId::parse(id).ok_or_else(not_found)?).await?;
        volume.filter(is_usable).ok_or_else(not_found)
    }
}
