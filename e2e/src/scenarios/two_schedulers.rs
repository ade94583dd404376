//! Two schedulers beside each other, each with an extender and a ledger of its own. On hollow nodes.

use anyhow::Result;
use serde_json::json;

use super::filling::{NODES, PODS, fill};
use crate::harness::hollow::{HollowCluster, Limits, SECOND_SCHEDULER};

/// A burst through both, of as many pods as there is room for: each of them gets its volume, whatever both gave away at the same time.
pub(super) async fn a_burst_through_both_comes_right() -> Result<()> {
    HollowCluster::measure("two-schedulers", Limits::Lifted, async |cluster| {
        cluster.start_with_extender(NODES).await?;
        cluster.restart_scheduler(Limits::Lifted, true).await?;
        cluster.start_second_scheduler().await?;
        let refused = fill(cluster, |number, pod| {
            if number % 2 == 1 {
                pod["spec"]["schedulerName"] = json!(SECOND_SCHEDULER);
            }
        })
        .await?;
        println!("{PODS} pods through two schedulers: {refused} calls of CreateVolume refused");
        Ok(())
    })
    .await
}
