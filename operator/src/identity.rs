//! CSI Identity: who this is, and whether it is ready.

use crds::DRIVER_NAME;
use csi::v1::identity_server::Identity;
use csi::v1::{
    GetPluginCapabilitiesRequest, GetPluginCapabilitiesResponse, GetPluginInfoRequest, GetPluginInfoResponse,
    ProbeRequest, ProbeResponse,
};
use tonic::{Request, Response, Status};

use crate::index::SharedIndex;

/// The Identity service of the controller.
#[derive(Clone, Debug)]
pub struct Plugin {
    index: SharedIndex,
}

impl Plugin {
    /// It is ready once `index` has been listed completely.
    #[must_use]
    pub fn new(index: SharedIndex) -> Self {
        Self { index }
    }
}

#[tonic::async_trait]
impl Identity for Plugin {
    async fn get_plugin_info(
        &self,
        _: Request<GetPluginInfoRequest>,
    ) -> Result<Response<GetPluginInfoResponse>, Status> {
        Ok(Response::new(GetPluginInfoResponse {
            name: DRIVER_NAME.into(),
            vendor_version: env!("CARGO_PKG_VERSION").into(),
            ..GetPluginInfoResponse::default()
        }))
    }

    async fn get_plugin_capabilities(
        &self,
        _: Request<GetPluginCapabilitiesRequest>,
    ) -> Result<Response<GetPluginCapabilitiesResponse>, Status> {
        Ok(Response::new(csi::plugin_capabilities()))
    }

    async fn probe(&self, _: Request<ProbeRequest>) -> Result<Response<ProbeResponse>, Status> {
        let ready = Some(self.index.read(crate::index::Index::synced));
        Ok(Response::new(ProbeResponse { ready }))
    }
}
