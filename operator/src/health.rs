//! Health over plain HTTP; metrics belong here as well.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::index::{Index, SharedIndex};

/// Health cannot be served: the address is taken or not one of this host, or no connection can be accepted any more.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve health on {0}")]
pub struct HealthError(SocketAddr, #[source] io::Error);

/// Serves `/healthz` and `/readyz` on `address` until `stop`, or nothing without one. Ready once `index` is synced.
///
/// # Errors
/// If `address` cannot be listened on.
pub async fn serve(
    address: Option<SocketAddr>,
    index: SharedIndex,
    stop: CancellationToken,
) -> Result<(), HealthError> {
    let Some(address) = address else { return Ok(()) };
    let failed = |error| HealthError(address, error);
    let routes = program::health::routes(move || std::future::ready(readiness(&index)));
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    program::health::serve(listener, routes, stop).await.map_err(failed)
}

fn readiness(index: &SharedIndex) -> Result<(), String> {
    let synced = index.read(Index::synced);
    synced
        .then_some(())
        .ok_or_else(|| "the cluster has not been listed completely".into())
}
