//! The Identity service, which every instance of a plugin serves.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::v1::identity_server::Identity;
use crate::v1::plugin_capability::service::Type as ServiceType;
use crate::v1::plugin_capability::{Service, Type};
use crate::v1::{
    GetPluginCapabilitiesRequest, GetPluginCapabilitiesResponse, GetPluginInfoRequest, GetPluginInfoResponse,
    PluginCapability, ProbeRequest, ProbeResponse,
};

/// What the plugin as a whole can do: each of its instances lists the same, "regardless of … which RPCs an instance is
/// serving" (CSI specification, `GetPluginCapabilities`).
const CAPABILITIES: [ServiceType; 2] = [
    ServiceType::ControllerService,
    ServiceType::VolumeAccessibilityConstraints,
];

/// Whether a program can serve its calls.
pub trait Readiness: Send + Sync + 'static {
    /// True if it can now. False is no failure: the caller asks again.
    fn is_ready(&self) -> impl Future<Output = bool> + Send;
}

/// The Identity service. Clones share the readiness.
#[derive(Debug)]
pub struct IdentityService<R> {
    info: GetPluginInfoResponse,
    readiness: Arc<R>,
}

impl<R: Readiness> IdentityService<R> {
    /// A service that names the plugin as `info` does, and is as ready as `readiness` says.
    #[must_use]
    pub fn new(info: GetPluginInfoResponse, readiness: Arc<R>) -> Self {
        Self { info, readiness }
    }
}

impl<R> Clone for IdentityService<R> {
    fn clone(&self) -> Self {
        Self {
            info: self.info.clone(),
            readiness: Arc::clone(&self.readiness),
        }
    }
}

#[tonic::async_trait]
impl<R: Readiness> Identity for IdentityService<R> {
    async fn get_plugin_info(
        &self,
        _: Request<GetPluginInfoRequest>,
    ) -> Result<Response<GetPluginInfoResponse>, Status> {
        Ok(Response::new(self.info.clone()))
    }

    async fn get_plugin_capabilities(
        &self,
        _: Request<GetPluginCapabilitiesRequest>,
    ) -> Result<Response<GetPluginCapabilitiesResponse>, Status> {
        let capability = |service: ServiceType| PluginCapability {
            r#type: Some(Type::Service(Service { r#type: service.into() })),
        };
        Ok(Response::new(GetPluginCapabilitiesResponse {
            capabilities: CAPABILITIES.map(capability).into(),
        }))
    }

    async fn probe(&self, _: Request<ProbeRequest>) -> Result<Response<ProbeResponse>, Status> {
        let ready = Some(self.readiness.is_ready().await);
        Ok(Response::new(ProbeResponse { ready }))
    }
}
