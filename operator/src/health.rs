//! Health over plain HTTP; metrics belong here as well.

use std::net::SocketAddr;

use program::health::{self, HealthError};
use tokio_util::sync::CancellationToken;

use crate::index::{Index, SharedIndex};

/// Serves `/healthz` and `/readyz` on `address`, if there is one, until `stop`: ready once `index` has been listed
/// completely.
///
/// # Errors
/// If `address` cannot be served.
pub async fn serve(
    address: Option<SocketAddr>,
    index: SharedIndex,
    stop: CancellationToken,
) -> Result<(), HealthError> {
    let Some(address) = address else { return Ok(()) };
    let routes = health::routes(move || std::future::ready(readiness(&index)));
    health::serve(address, routes, stop).await
}

fn readiness(index: &SharedIndex) -> Result<(), String> {
    let synced = index.read(Index::synced);
    synced
        .then_some(())
        .ok_or_else(|| "the cluster has not been listed completely".into())
}
