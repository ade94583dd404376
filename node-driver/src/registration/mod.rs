//! Registers the driver with the kubelet, so that no other container is needed for it.
//!
//! The kubelet watches its `plugins_registry` directory, connects to each socket there, asks for `GetInfo`, calls
//! NodeGetInfo at the endpoint named there, and reports the outcome with `NotifyRegistrationStatus`. It tries again by
//! itself, and after each restart of its own.

mod service;

use std::path::{Path, PathBuf};

use ::csi::Socket;
use ::csi::registration::registration_server::RegistrationServer;
use crds::DRIVER_NAME;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use service::RegistrationService;

/// Whether the kubelet has registered the driver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RegistrationState {
    /// It has not answered yet.
    #[default]
    Waiting,
    /// It has.
    Registered,
    /// It refuses, for this reason.
    Failed(String),
}

/// The registration server can serve no more connections.
#[derive(Debug, thiserror::Error)]
#[error("the registration server failed")]
pub struct RegistrationError(#[from] tonic::transport::Error);

/// Where the registration socket belongs in the kubelet's `plugins_registry` directory.
///
/// The kubelet dials the bare path (`dial` in `pkg/kubelet/pluginmanager/operationexecutor`), of which grpc-go makes the
/// `:authority` of its requests with each `/` as `%2F`. A host may not have such escapes, and the `h2` crate ends the
/// stream with `PROTOCOL_ERROR`; what comes before an `@` may (RFC 3986, 3.2.1). So there is one behind the last `/`.
#[must_use]
pub fn socket_path(plugins_registry: &Path) -> PathBuf {
    plugins_registry.join(format!("registration@{DRIVER_NAME}.sock"))
}

/// Serves until `shutdown`, then removes the socket, upon which the kubelet forgets the driver.
///
/// `endpoint` is the path of the CSI socket as the kubelet sees it; that socket must be served already. `state` follows
/// what the kubelet reports.
///
/// # Errors
/// Connections can no longer be served.
pub async fn serve(
    socket: Socket,
    endpoint: &Path,
    state: watch::Sender<RegistrationState>,
    shutdown: CancellationToken,
) -> Result<(), RegistrationError> {
    let (incoming, _file) = socket.into_incoming();
    let service = RegistrationService::new(endpoint.display().to_string(), state);
    Server::builder()
        .add_service(RegistrationServer::new(service))
        .serve_with_incoming_shutdown(incoming, shutdown.cancelled_owned())
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
