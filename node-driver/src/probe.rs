//! Asks a running driver whether it is ready.

use std::path::{Path, PathBuf};

use ::csi::v1::ProbeRequest;
use ::csi::v1::identity_client::IdentityClient;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Endpoint, Uri};
use tower::service_fn;

/// The driver does not respond, or is not ready.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nobody serves the socket.
    #[error("cannot connect to {}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why not.
        #[source]
        source: tonic::transport::Error,
    },
    /// The driver answered with an error.
    #[error("the driver answered with an error")]
    Answer(#[from] Box<tonic::Status>),
    /// The driver could not list its devices yet.
    #[error("the driver is not ready: it could not list its devices yet")]
    NotReady,
}

/// Calls Identity.Probe on the CSI socket at `path`.
///
/// # Errors
/// The driver does not respond, or is not ready.
pub async fn probe(path: &Path) -> Result<(), ProbeError> {
    let socket = path.to_owned();
    let connect = service_fn(move |_: Uri| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    // The connector ignores the address, but there has to be one.
    let channel = Endpoint::from_static("http://localhost")
        .connect_with_connector(connect)
        .await;
    let channel = channel.map_err(|source| ProbeError::Connect {
        path: path.to_owned(),
        source,
    })?;
    let answer = IdentityClient::new(channel)
        .probe(ProbeRequest {})
        .await
        .map_err(Box::new)?;
    match answer.into_inner().ready {
        Some(false) => Err(ProbeError::NotReady),
        Some(true) | None => Ok(()),
    }
}
