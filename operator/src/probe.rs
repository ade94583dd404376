//! Asks the operator on its own socket whether it answers: for the kubelet's probes.

use std::path::PathBuf;
use std::time::Duration;

use csi::v1::ProbeRequest;
use csi::v1::identity_client::IdentityClient;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::Endpoint;
use tower::service_fn;

const PATIENCE: Duration = Duration::from_secs(8);

/// The operator is not well.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nothing listens.
    #[error("nothing answers on {0}")]
    Connect(PathBuf, #[source] tonic::transport::Error),
    /// The call failed.
    #[error("Probe failed")]
    Call(#[source] Box<tonic::Status>),
}

/// Whether the operator on `socket` knows the cluster completely and serves.
///
/// # Errors
/// If it does not answer within 8 seconds.
pub async fn probe(socket: PathBuf) -> Result<bool, ProbeError> {
    let path = socket.clone();
    let connect = service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://socket")
        .timeout(PATIENCE)
        .connect_timeout(PATIENCE);
    let channel = endpoint
        .connect_with_connector(connect)
        .await
        .map_err(|error| ProbeError::Connect(socket, error))?;
    let answer = IdentityClient::new(channel).probe(ProbeRequest {}).await;
    let answer = answer.map_err(|status| ProbeError::Call(Box::new(status)))?;
    Ok(answer.into_inner().ready.unwrap_or(true))
}
