//! Serves CSI on a unix socket.

use std::fs::{Permissions, remove_file, set_permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use csi::v1::controller_server::ControllerServer;
use csi::v1::identity_server::IdentityServer;
use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::Connected;

use crate::controller::Service;
use crate::identity::Plugin;

/// The socket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// There is a file in its place that cannot be removed.
    #[error("cannot remove what is at {0}")]
    Remove(PathBuf, #[source] io::Error),
    /// It cannot be made.
    #[error("cannot listen on {0}: does its folder exist, and may this user write there?")]
    Listen(PathBuf, #[source] io::Error),
    /// It cannot be kept from other users.
    #[error("cannot restrict {0} to this user")]
    Restrict(PathBuf, #[source] io::Error),
}

/// Listens on a unix socket that only this user can connect to. A socket that an earlier process left is replaced.
///
/// # Errors
/// If it cannot be made.
pub fn listen(socket: &Path) -> Result<UnixListenerStream, SocketError> {
    match remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(SocketError::Remove(socket.into(), error));
        }
        _ => {}
    }
    let listener = UnixListener::bind(socket).map_err(|error| SocketError::Listen(socket.into(), error))?;
    set_permissions(socket, Permissions::from_mode(0o600))
        .map_err(|error| SocketError::Restrict(socket.into(), error))?;
    Ok(UnixListenerStream::new(listener))
}

/// Serves Identity and Controller to `connections` until `stop`; calls that are at work are finished then.
///
/// # Errors
/// If no connection can be accepted any more.
pub async fn serve<C>(
    connections: impl Stream<Item = io::Result<C>>,
    plugin: Plugin,
    service: Service,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error>
where
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    Server::builder()
        .add_service(IdentityServer::new(plugin))
        .add_service(ControllerServer::new(service))
        .serve_with_incoming_shutdown(connections, stop.cancelled_owned())
        .await
}
