//! The extender is down, and comes back.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::cluster::wait::{Probe, until};
use crate::stage::Stage;
use crate::workload::{self, Claim, PATIENCE};

const EXTENDER: &str = "daemonset/daxfit-extender";

/// Pods are placed while no extender answers. One that waits when it comes back is told why, and runs in the end.
pub(super) async fn pods_that_come_while_no_extender_answers_are_placed_by_capacity(stage: &mut Stage) -> Result<()> {
    be_somewhere(stage, json!({ "daxfit.dev/nowhere": "" })).await?;
    until("the extender is gone", PATIENCE, async || {
        match stage
            .kubectl
            .items(&[
                "pods",
                "-n",
                "daxfit-system",
                "-l",
                "app.kubernetes.io/name=daxfit-extender",
            ])
            .await
        {
            Ok(pods) if pods.is_empty() => Probe::Ready(()),
            Ok(_) => Probe::NotYet(anyhow::anyhow!("it is there")),
            Err(error) => Probe::NotYet(error),
        }
    })
    .await?;
    ensure!(stage.cluster()?.explain("any").await.is_err(), "an extender answers");
    let large = [
        Claim::new("large-0", "300Mi", "daxfit-ext4"),
        Claim::new("large-1", "300Mi", "daxfit-ext4"),
    ];
    stage.start("large", &large).await?;
    // It would fit if one of the others were not there.
    let waits = [Claim::new("waits", "300Mi", "daxfit-ext4")];
    stage.submit("waits", &waits).await?;
    workload::event(&stage.kubectl, "waits", &["asked 300 MiB"]).await?;
    be_somewhere(stage, json!({ "daxfit.dev/nowhere": null })).await?;
    stage
        .kubectl
        .run(&["rollout", "status", "-n", "daxfit-system", "--timeout=10m", EXTENDER])
        .await?;
    let why = stage.cluster()?.explain("waits").await?;
    ensure!(why["nodes"][0]["why"]["kind"] == "noSpace", "{why}");
    stage.stop("large", &large).await?;
    workload::running(&stage.kubectl, "waits").await?;
    stage.stop("waits", &waits).await
}

/// Changes where the extender runs.
async fn be_somewhere(stage: &Stage, selector: serde_json::Value) -> Result<()> {
    let patch = json!({ "spec": { "template": { "spec": { "nodeSelector": selector } } } }).to_string();
    let patched = stage
        .kubectl
        .run(&["patch", "-n", "daxfit-system", EXTENDER, "-p", &patch])
        .await;
    patched.map(drop)
}
