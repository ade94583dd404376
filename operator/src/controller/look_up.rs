//! `ControllerGetVolume`, `ListVolumes` and `ValidateVolumeCapabilities`: what there is.

use crds::{Phase, PmemVolume};
use csi::v1::controller_get_volume_response::VolumeStatus as GotStatus;
use csi::v1::list_volumes_response::{Entry, VolumeStatus as ListedStatus};
use csi::v1::validate_volume_capabilities_response::Confirmed;
use csi::v1::{
    ControllerGetVolumeRequest, ControllerGetVolumeResponse, ListVolumesRequest, ListVolumesResponse,
    ValidateVolumeCapabilitiesRequest, ValidateVolumeCapabilitiesResponse,
};
use kube::ResourceExt;
use tonic::Code;

use super::Service;
use super::api::ApiError;
use super::existing::phase;
use super::response::{condition, to_csi};
use super::usage::{UsageError, filesystem_of};
use super::volume_id::VolumeId;
use crate::index::Index;

/// Why a volume cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum LookUpError {
    /// It is not said which.
    #[error("no volume id is given")]
    NoId,
    /// It is not said what is to be checked.
    #[error("no volume capability is given")]
    NoCapability,
    /// There is none.
    #[error("volume {0:?} does not exist")]
    NotFound(String),
    /// The API server.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl LookUpError {
    /// CSI "`ValidateVolumeCapabilities` Errors" and "`ControllerGetVolume` Errors".
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NoId | Self::NoCapability => Code::InvalidArgument,
            Self::NotFound(_) => Code::NotFound,
            Self::Api(error) => super::api_code(error),
        }
    }
}

/// Why volumes cannot be listed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// The number makes no sense.
    #[error("max_entries is {0}: it has to be 0 (all) or more")]
    Negative(i32),
    /// The token is not one of ours.
    #[error("starting_token {0:?} is not one that was given out: start again without a token")]
    Token(String),
    /// The operator has just started.
    #[error("the operator is still reading the state of the cluster: try again")]
    Starting,
}

impl ListError {
    /// CSI "`ListVolumes` Errors".
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Negative(_) => Code::InvalidArgument,
            Self::Token(_) => Code::Aborted,
            Self::Starting => Code::Unavailable,
        }
    }
}

/// What a token starts with: the name of the last volume of the page before follows.
const AFTER: &str = "after/";

impl Service {
    /// Whether a volume that exists can be used in these ways.
    ///
    /// # Errors
    /// If there is no such volume.
    pub async fn validate(
        &self,
        request: ValidateVolumeCapabilitiesRequest,
    ) -> Result<ValidateVolumeCapabilitiesResponse, LookUpError> {
        self.existing(&request.volume_id).await?;
        match filesystem_of(&request.volume_capabilities) {
            Err(UsageError::None) => Err(LookUpError::NoCapability),
            Err(no) => Ok(ValidateVolumeCapabilitiesResponse {
                confirmed: None,
                message: no.to_string(),
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

    /// One volume.
    ///
    /// # Errors
    /// If there is no such volume.
    pub async fn get(&self, request: &ControllerGetVolumeRequest) -> Result<ControllerGetVolumeResponse, LookUpError> {
        let volume = self.existing(&request.volume_id).await?;
        Ok(ControllerGetVolumeResponse {
            volume: Some(to_csi(&volume)),
            status: Some(GotStatus {
                published_node_ids: Vec::new(),
                volume_condition: Some(self.index.read(|index| condition(index, &volume))),
            }),
        })
    }

    /// The volumes that exist, by name.
    ///
    /// # Errors
    /// If the page asked for cannot be told.
    pub fn list(&self, request: &ListVolumesRequest) -> Result<ListVolumesResponse, ListError> {
        self.index.read(|index| page(index, request))
    }

    async fn existing(&self, id: &str) -> Result<PmemVolume, LookUpError> {
        if id.is_empty() {
            return Err(LookUpError::NoId);
        }
        let none = || LookUpError::NotFound(id.into());
        let volume = self.api.get(&VolumeId::existing(id).ok_or_else(none)?).await?;
        volume.filter(exists).ok_or_else(none)
    }
}

/// Whether it is a volume to those who use it: made, and not being deleted.
fn exists(volume: &PmemVolume) -> bool {
    phase(volume) == Some(Phase::Ready) && volume.metadata.deletion_timestamp.is_none()
}

fn page(index: &Index, request: &ListVolumesRequest) -> Result<ListVolumesResponse, ListError> {
    let most = usize::try_from(request.max_entries).map_err(|_| ListError::Negative(request.max_entries))?;
    let after = match request.starting_token.strip_prefix(AFTER) {
        Some(after) => after,
        None if request.starting_token.is_empty() => "",
        None => return Err(ListError::Token(request.starting_token.clone())),
    };
    if !index.synced() {
        return Err(ListError::Starting);
    }
    let mut rest = index
        .volumes()
        .filter(|v| exists(v) && v.name_any().as_str() > after)
        .peekable();
    let most = if most == 0 { usize::MAX } else { most };
    let shown: Vec<&PmemVolume> = rest.by_ref().take(most).collect();
    let last = shown.last().filter(|_| rest.peek().is_some());
    Ok(ListVolumesResponse {
        next_token: last
            .map(|last| format!("{AFTER}{}", last.name_any()))
            .unwrap_or_default(),
        entries: shown.into_iter().map(|volume| entry(index, volume)).collect(),
    })
}

fn entry(index: &Index, volume: &PmemVolume) -> Entry {
    Entry {
        volume: Some(to_csi(volume)),
        status: Some(ListedStatus {
            published_node_ids: Vec::new(),
            volume_condition: Some(condition(index, volume)),
        }),
    }
}
