//! The calls of the kubelet.

use ::csi::registration::registration_server::Registration;
use ::csi::registration::{InfoRequest, PluginInfo, RegistrationStatus, RegistrationStatusResponse};
use crds::DRIVER_NAME;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::RegistrationState;

/// Versions of CSI that the driver speaks. The kubelet parses them as versions and takes the highest whose major number
/// it knows, 1 (`highestSupportedVersion` in `pkg/volume/csi/csi_plugin.go`).
const VERSIONS: [&str; 1] = ["1.0.0"];
/// The kubelet's name for CSI drivers (`CSIPlugin` in `k8s.io/kubelet/pkg/apis/pluginregistration/v1`).
const PLUGIN_TYPE: &str = "CSIPlugin";

pub(super) struct RegistrationService {
    endpoint: String,
    state: watch::Sender<RegistrationState>,
}

impl RegistrationService {
    pub(super) fn new(endpoint: String, state: watch::Sender<RegistrationState>) -> Self {
        Self { endpoint, state }
    }
}

#[tonic::async_trait]
impl Registration for RegistrationService {
    async fn get_info(&self, _: Request<InfoRequest>) -> Result<Response<PluginInfo>, Status> {
        Ok(Response::new(PluginInfo {
            r#type: PLUGIN_TYPE.into(),
            name: DRIVER_NAME.into(),
            endpoint: self.endpoint.clone(),
            supported_versions: VERSIONS.map(str::to_owned).into(),
        }))
    }

    async fn notify_registration_status(
        &self,
        request: Request<RegistrationStatus>,
    ) -> Result<Response<RegistrationStatusResponse>, Status> {
        let status = request.into_inner();
        let state = if status.plugin_registered {
            tracing::info!("the kubelet has registered the driver");
            RegistrationState::Registered
        } else {
            tracing::error!(error = status.error, "the kubelet refuses the driver");
            RegistrationState::Failed(status.error)
        };
        self.state.send_replace(state);
        Ok(Response::new(RegistrationStatusResponse {}))
    }
}
