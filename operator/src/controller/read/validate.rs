//! `ValidateVolumeCapabilities`: whether a volume can be used in some ways.

use csi::v1::validate_volume_capabilities_response::Confirmed;
use csi::v1::{ValidateVolumeCapabilitiesRequest, ValidateVolumeCapabilitiesResponse};

use super::volume::ReadError;
use crate::controller::request::{UsageError, filesystem_of};
use crate::controller::service::Service;

impl Service {
    /// Whether a volume that exists can be used in these ways; the message says why not.
    ///
    /// # Errors
    /// If there is no such volume, or no way is given.
    pub async fn validate(
        &self,
        request: ValidateVolumeCapabilitiesRequest,
    ) -> Result<ValidateVolumeCapabilitiesResponse, ReadError> {
        self.usable_volume(&request.volume_id).await?;
        match filesystem_of(&request.volume_capabilities) {
            Err(UsageError::None) => Err(ReadError::NoCapability),
            Err(error) => Ok(ValidateVolumeCapabilitiesResponse {
                confirmed: None,
                message: error.to_string(),
            }),
            Ok(_) => Ok(ValidateVolumeCapabilitiesResponse {
                confirmed: Some(Confirmed {
                    volume_context: request.volume_context,
                    volume_capabilities: request.volume_capabilities,
                    parameters: request.parameters,
                    mutable_parameters: request.mutable_parameters,
                }),
                message: String::new(),
            }),
        }
    }
}
