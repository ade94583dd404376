//! The CSI Identity service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::csi::v1::identity_server::Identity;
use ::csi::v1::{
    GetPluginCapabilitiesRequest, GetPluginCapabilitiesResponse, GetPluginInfoRequest, GetPluginInfoResponse,
    ProbeRequest, ProbeResponse,
};
use crds::DRIVER_NAME;
use tonic::{Code, Request, Response, Status};

use super::{Coded, answer};
use crate::devices::{DeviceError, Devices};
use crate::error_chain::chain;

/// The CSI Identity service. Clones share everything.
#[derive(Clone)]
pub struct IdentityService {
    devices: Arc<dyn Devices>,
    ready: Arc<AtomicBool>,
}

/// Why nobody can say whether the driver is ready.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    /// The look at the devices ended without an outcome.
    #[error("the look at the devices ended unexpectedly")]
    Lost(#[from] tokio::task::JoinError),
}

impl Coded for ProbeError {
    fn code(&self) -> Code {
        match self {
            Self::Lost(_) => Code::Internal,
        }
    }
}

impl IdentityService {
    /// The service for these devices.
    #[must_use]
    pub fn new(devices: Arc<dyn Devices>) -> Self {
        Self {
            devices,
            ready: Arc::default(),
        }
    }

    /// Ready once the devices could be listed: a later listing that fails leaves the mounted volumes as they are.
    async fn is_ready(&self) -> Result<bool, ProbeError> {
        if self.ready.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let devices = Arc::clone(&self.devices);
        let listed: Result<_, DeviceError> = tokio::task::spawn_blocking(move || devices.inventory().map(drop)).await?;
        if let Err(error) = &listed {
            tracing::warn!(error = chain(error), "not ready");
        }
        self.ready.fetch_or(listed.is_ok(), Ordering::Relaxed);
        Ok(listed.is_ok())
    }
}

#[tonic::async_trait]
impl Identity for IdentityService {
    async fn get_plugin_info(
        &self,
        _: Request<GetPluginInfoRequest>,
    ) -> Result<Response<GetPluginInfoResponse>, Status> {
        Ok(Response::new(GetPluginInfoResponse {
            name: DRIVER_NAME.into(),
            vendor_version: env!("CARGO_PKG_VERSION").into(),
            manifest: [("backend".into(), self.devices.backend().into())].into(),
        }))
    }

    async fn get_plugin_capabilities(
        &self,
        _: Request<GetPluginCapabilitiesRequest>,
    ) -> Result<Response<GetPluginCapabilitiesResponse>, Status> {
        Ok(Response::new(::csi::plugin_capabilities()))
    }

    async fn probe(&self, _: Request<ProbeRequest>) -> Result<Response<ProbeResponse>, Status> {
        let ready = self.is_ready().await.map(Some);
        answer("Probe", "", ready.map(|ready| ProbeResponse { ready }))
    }
}
