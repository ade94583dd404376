//! The client of Identity.Probe, for the `probe` subcommands that the kubelet runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::transport::Endpoint;

use crate::v1::ProbeRequest;
use crate::v1::identity_client::IdentityClient;

/// The kubelet's probes have a limit of their own, which is longer (`timeoutSeconds`): the reason is then in its events.
const LIMIT: Duration = Duration::from_secs(8);

/// Nobody answers on the socket.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No connection can be made: the program does not run, or listens elsewhere.
    #[error("cannot connect to {}", .0.display())]
    Connect(PathBuf, #[source] tonic::transport::Error),
    /// The call failed, or took longer than 8 seconds.
    #[error("Probe failed")]
    Call(#[source] Box<tonic::Status>),
}

/// Asks the plugin that serves the unix socket `socket` whether it is ready. A plugin that does not say is ready (CSI
/// specification, `ProbeResponse`).
///
/// # Errors
/// If it does not answer within 8 seconds: the kubelet should start it anew.
pub async fn probe(socket: &Path) -> Result<bool, ProbeError> {
    let unreachable = |error| ProbeError::Connect(socket.into(), error);
    let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display())).map_err(unreachable)?;
    let endpoint = endpoint.timeout(LIMIT).connect_timeout(LIMIT);
    let channel = endpoint.connect().await.map_err(unreachable)?;
    let answer = IdentityClient::new(channel).probe(ProbeRequest {}).await;
    let answer = answer.map_err(|status| ProbeError::Call(Box::new(status)))?;
    Ok(answer.into_inner().ready.unwrap_or(true))
}
