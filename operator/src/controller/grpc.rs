//! The Controller service of CSI: one method for each call, and the status of each error.

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
use tonic::{Code, Request, Response, Status};
use tracing::warn;

use super::service::Service;
use super::wait::time_limit;
use crate::chain::chain;

/// The optional calls and fields that the service supports.
const CAPABILITIES: [Rpc; 6] = [
    Rpc::CreateDeleteVolume,
    Rpc::GetCapacity,
    Rpc::ListVolumes,
    Rpc::GetVolume,
    Rpc::VolumeCondition,
    Rpc::SingleNodeMultiWriter,
];

#[tonic::async_trait]
impl Controller for Service {
    async fn create_volume(
        &self,
        request: Request<CreateVolumeRequest>,
    ) -> Result<Response<CreateVolumeResponse>, Status> {
        let time_limit = time_limit(request.metadata());
        let request = request.into_inner();
        let volume = self.create(&request, time_limit).await;
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
        let result = self.validate(request).await;
        result
            .map(Response::new)
            .map_err(|error| status("ValidateVolumeCapabilities", &id, error.code(), &error))
    }

    async fn list_volumes(
        &self,
        request: Request<ListVolumesRequest>,
    ) -> Result<Response<ListVolumesResponse>, Status> {
        let result = self.list(request.get_ref());
        result
            .map(Response::new)
            .map_err(|error| status("ListVolumes", "", error.code(), &error))
    }

    async fn controller_get_volume(
        &self,
        request: Request<ControllerGetVolumeRequest>,
    ) -> Result<Response<ControllerGetVolumeResponse>, Status> {
        let request = request.into_inner();
        let result = self.get(&request).await;
        result
            .map(Response::new)
            .map_err(|error| status("ControllerGetVolume", &request.volume_id, error.code(), &error))
    }

    async fn get_capacity(
        &self,
        request: Request<GetCapacityRequest>,
    ) -> Result<Response<GetCapacityResponse>, Status> {
        let result = self.capacity(request.get_ref());
        result
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
