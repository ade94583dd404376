//! The CSI Controller service, for the external-provisioner in the same pod.

mod api;
mod choose;
mod company;
mod create;
mod deadline;
mod delete;
mod existing;
mod free;
mod gather;
mod look_up;
mod outcome;
mod places;
mod request;
mod response;
pub(crate) mod size;
mod turns;
mod usage;
mod volume_id;

pub use api::ApiError;
pub use choose::NoPlace;
pub use company::Unfit;
pub use create::CreateError;
pub use delete::DeleteError;
pub use free::CapacityError;
pub use look_up::{ListError, LookUpError};
pub use request::RequestError;
pub use volume_id::VolumeId;

use std::error::Error;

use csi::v1::controller_server::Controller;
use csi::v1::controller_service_capability::rpc::Type as Rpc;
use csi::v1::controller_service_capability::{Rpc as RpcCapability, Type};
use csi::v1::{
    ControllerGetCapabilitiesRequest, ControllerGetCapabilitiesResponse, ControllerGetVolumeRequest,
    ControllerGetVolumeResponse, ControllerServiceCapability, CreateVolumeRequest, CreateVolumeResponse,
    DeleteVolumeRequest, DeleteVolumeResponse, GetCapacityRequest, GetCapacityResponse, ListVolumesRequest,
    ListVolumesResponse, ValidateVolumeCapabilitiesRequest, ValidateVolumeCapabilitiesResponse,
};
use kube::Client;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};
use tracing::warn;

use crate::chain::chain;
use crate::index::SharedIndex;
use api::VolumesApi;
use gather::ClaimsApi;
use turns::Turns;

/// The Controller service. Clones share their state.
#[derive(Clone)]
pub struct Service {
    api: VolumesApi,
    claims: ClaimsApi,
    index: SharedIndex,
    turns: Turns,
    stop: CancellationToken,
}

/// What the service can do.
const CAPABILITIES: [Rpc; 6] = [
    Rpc::CreateDeleteVolume,
    Rpc::GetCapacity,
    Rpc::ListVolumes,
    Rpc::GetVolume,
    Rpc::VolumeCondition,
    Rpc::SingleNodeMultiWriter,
];

impl Service {
    /// Decides from `index`, writes through `client`, and sends those who wait away at `stop`.
    #[must_use]
    pub fn new(client: Client, index: SharedIndex, stop: CancellationToken) -> Self {
        Self {
            api: VolumesApi::new(client.clone()),
            claims: ClaimsApi::new(client),
            index,
            turns: Turns::default(),
            stop,
        }
    }
}

#[tonic::async_trait]
impl Controller for Service {
    async fn create_volume(
        &self,
        request: Request<CreateVolumeRequest>,
    ) -> Result<Response<CreateVolumeResponse>, Status> {
        let patience = deadline::patience(request.metadata());
        let request = request.into_inner();
        let volume = self.create(&request, patience).await;
        let volume = volume.map_err(|error| status("CreateVolume", &request.name, error.code(), &error))?;
        Ok(Response::new(CreateVolumeResponse { volume: Some(volume) }))
    }

    async fn delete_volume(
        &self,
        request: Request<DeleteVolumeRequest>,
    ) -> Result<Response<DeleteVolumeResponse>, Status> {
        let request = request.into_inner();
        let deleted = self.delete(&request).await;
        deleted.map_err(|error| status("DeleteVolume", &request.volume_id, error.code(), &error))?;
        Ok(Response::new(DeleteVolumeResponse {}))
    }

    async fn validate_volume_capabilities(
        &self,
        request: Request<ValidateVolumeCapabilitiesRequest>,
    ) -> Result<Response<ValidateVolumeCapabilitiesResponse>, Status> {
        let request = request.into_inner();
        let id = request.volume_id.clone();
        let answer = self.validate(request).await;
        answer
            .map(Response::new)
            .map_err(|error| status("ValidateVolumeCapabilities", &id, error.code(), &error))
    }

    async fn list_volumes(
        &self,
        request: Request<ListVolumesRequest>,
    ) -> Result<Response<ListVolumesResponse>, Status> {
        let answer = self.list(request.get_ref());
        answer
            .map(Response::new)
            .map_err(|error| status("ListVolumes", "", error.code(), &error))
    }

    async fn controller_get_volume(
        &self,
        request: Request<ControllerGetVolumeRequest>,
    ) -> Result<Response<ControllerGetVolumeResponse>, Status> {
        let request = request.into_inner();
        let answer = self.get(&request).await;
        answer
            .map(Response::new)
            .map_err(|error| status("ControllerGetVolume", &request.volume_id, error.code(), &error))
    }

    async fn get_capacity(
        &self,
        request: Request<GetCapacityRequest>,
    ) -> Result<Response<GetCapacityResponse>, Status> {
        let answer = self.capacity(request.get_ref());
        answer
            .map(Response::new)
            .map_err(|error| status("GetCapacity", "", error.code(), &error))
    }

    async fn controller_get_capabilities(
        &self,
        _: Request<ControllerGetCapabilitiesRequest>,
    ) -> Result<Response<ControllerGetCapabilitiesResponse>, Status> {
        let capability = |rpc: Rpc| ControllerServiceCapability {
            r#type: Some(Type::Rpc(RpcCapability { r#type: rpc.into() })),
        };
        Ok(Response::new(ControllerGetCapabilitiesResponse {
            capabilities: CAPABILITIES.map(capability).into(),
        }))
    }
}

/// The one place where a failed call is logged.
fn status(call: &'static str, volume: &str, code: Code, error: &dyn Error) -> Status {
    let message = chain(error);
    warn!(call, volume, ?code, "{message}");
    Status::new(code, message)
}

/// UNAVAILABLE makes external-provisioner repeat the call without another decision, which is right as long as it is
/// unknown whether something was written.
fn api_code(error: &ApiError) -> Code {
    match error {
        ApiError::Refused { .. } => Code::Internal,
        ApiError::Unavailable { .. } => Code::Unavailable,
    }
}
