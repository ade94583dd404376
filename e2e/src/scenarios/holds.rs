//! Waiting for what the objects of a hollow cluster show.

use anyhow::Result;
use kube::Client;

use crate::harness::hollow::HollowCluster;
use crate::harness::wait::{HANG_LIMIT, Probe, until};

/// Waits until `check` succeeds.
pub(super) async fn holds(
    cluster: &mut HollowCluster,
    what: &str,
    check: impl AsyncFn(&Client) -> Result<()>,
) -> Result<()> {
    let client = cluster.client();
    until(what, HANG_LIMIT, async || match cluster.check() {
        Err(error) => Probe::Never(error),
        Ok(()) => match check(&client).await {
            Ok(()) => Probe::Ready(()),
            Err(error) => Probe::NotYet(error),
        },
    })
    .await
}
