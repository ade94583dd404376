//! Serves Identity and Node on the CSI socket.

use ::csi::v1::identity_server::IdentityServer;
use ::csi::v1::node_server::NodeServer;
use ::csi::{IdentityService, Socket};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use super::{DeviceReadiness, NodeService};

/// The server ended with a failure.
#[derive(Debug, thiserror::Error)]
#[error("the CSI server failed")]
pub struct ServeError(#[from] tonic::transport::Error);

/// Serves until `shutdown`, then lets the calls at work end, and removes the socket.
///
/// # Errors
/// If connections can no longer be served.
pub async fn serve(
    socket: Socket,
    identity: IdentityService<DeviceReadiness>,
    node: NodeService,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let (incoming, _file) = socket.into_incoming();
    let served = Server::builder()
        .add_service(IdentityServer::new(identity))
        .add_service(NodeServer::new(node.clone()))
        .serve_with_incoming_shutdown(incoming, shutdown.cancelled_owned())
        .await;
    node.finish().await;
    Ok(served?)
}
