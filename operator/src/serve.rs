//! Serves the CSI services of the operator.

use std::io;

use csi::IdentityService;
use csi::v1::controller_server::ControllerServer;
use csi::v1::identity_server::IdentityServer;
use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::Connected;

use crate::controller::Service;
use crate::index::SharedIndex;

/// Serves Identity and Controller to `connections` until `stop`; calls at work are finished then.
///
/// # Errors
/// If no connection can be accepted any more.
pub async fn serve<C>(
    connections: impl Stream<Item = io::Result<C>>,
    identity: IdentityService<SharedIndex>,
    service: Service,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error>
where
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    Server::builder()
        .add_service(IdentityServer::new(identity))
        .add_service(ControllerServer::new(service))
        .serve_with_incoming_shutdown(connections, stop.cancelled_owned())
        .await
}
