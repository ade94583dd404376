//! A kube-scheduler as 1.32 to 1.34 are: no pod names the node that was chosen for it before it is bound. On hollow nodes.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use serde_json::Value;

use super::filling::{NODES, fill};
use super::held::{holds_nothing, onlooker};
use crate::harness::hollow::pods::{claim_object, make};
use crate::harness::hollow::{HollowCluster, Limits};

/// Each pod of a burst gets its node, no volume is refused that was promised, and nothing stays reserved.
pub(super) async fn a_burst_without_nominations_is_exact() -> Result<()> {
    HollowCluster::measure("older-scheduler", Limits::Lifted, async |cluster| {
        cluster.start_with_extender(NODES).await?;
        cluster.restart_scheduler_without_expectations().await?;
        let client = cluster.client();
        make::<PersistentVolumeClaim>(&client, &claim_object("looks", "50Mi")).await?;
        make::<Pod>(&client, &onlooker("looks")).await?;
        let refused = fill(cluster, |_, _: &mut Value| {}).await?;
        ensure!(refused == 0.0, "{refused} calls of CreateVolume were refused");
        holds_nothing(cluster, "looks").await
    })
    .await
}
