//! The Controller service of CSI: one method for each call.

use csi::respond;
use csi::v1::controller_server::Controller;
use csi::v1::controller_service_capability::rpc::Type as Rpc;
use csi::v1::controller_service_capability::{Rpc as RpcCapability, Type};
use csi::v1::{
    ControllerGetCapabilitiesRequest, ControllerGetCapabilitiesResponse, ControllerGetVolumeRequest,
    ControllerGetVolumeResponse, ControllerServiceCapability, CreateVolumeRequest, CreateVolumeResponse,
    DeleteVolumeRequest, DeleteVolumeResponse, GetCapacityRequest, GetCapacityResponse, ListVolumesRequest,
    ListVolumesResponse, ValidateVolumeCapabilitiesRequest, ValidateVolumeCapabilitiesResponse,
};
use tonic::{Request, Response, Status};

use super::service::Service;
use super::wait::time_limit;

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
        let volume = self.create_whoever_waits(&request, time_limit).await;
        let response = volume.map(|volume| CreateVolumeResponse { volume: Some(volume) });
        respond("CreateVolume", &request.name, response)
    }

    async fn delete_volume(
        &self,
        request: Request<DeleteVolumeRequest>,
    ) -> Result<Response<DeleteVolumeResponse>, Status> {
        let request = request.into_inner();
        let deleted = self.delete(&request).await;
        let response = deleted.map(|()| DeleteVolumeResponse {});
        respond("DeleteVolume", &request.volume_id, response)
    }

    async fn validate_volume_capabilities(
        &self,
        request: Request<ValidateVolumeCapabilitiesRequest>,
    ) -> Result<Response<ValidateVolumeCapabilitiesResponse>, Status> {
        let request = request.into_inner();
        let id = request.volume_id.clone();
        respond("ValidateVolumeCapabilities", &id, self.validate(request).await)
    }

    async fn list_volumes(
        &self,
        request: Request<ListVolumesRequest>,
    ) -> Result<Response<ListVolumesResponse>, Status> {
        respond("ListVolumes", "", self.list(request.get_ref()))
    }

    async fn controller_get_volume(
        &self,
        request: Request<ControllerGetVolumeRequest>,
    ) -> Result<Response<ControllerGetVolumeResponse>, Status> {
        let request = request.into_inner();
        respond("ControllerGetVolume", &request.volume_id, self.get(&request).await)
    }

    async fn get_capacity(
        &self,
        request: Request<GetCapacityRequest>,
    ) -> Result<Response<GetCapacityResponse>, Status> {
        respond("GetCapacity", "", self.capacity(request.get_ref()))
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
