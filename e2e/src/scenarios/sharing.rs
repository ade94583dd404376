//! Claims that two pods share, and volumes that come and go with their pod.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::stage::Stage;
use crate::workload::{self, Claim, volume_of};

/// Two pods that are made at once use one claim, and one of them has a generic ephemeral volume besides.
pub(super) async fn pods_that_share_a_claim_and_one_that_brings_a_volume_run(stage: &mut Stage) -> Result<()> {
    let shared = [Claim::new("shared", "40Mi", "daxfit-ext4")];
    let mut claim = shared[0].object();
    claim["spec"]["accessModes"] = json!(["ReadWriteOnce"]);
    let reader = workload::pod("reader", stage.image(), &shared);
    let mut writer = workload::pod("writer", stage.image(), &shared);
    add_scratch(&mut writer);
    stage.kubectl.apply(&[claim, writer, reader]).await?;
    workload::running(&stage.kubectl, "writer").await?;
    workload::running(&stage.kubectl, "reader").await?;
    stage
        .in_pod("writer", "echo seen > /pmem/shared/f && echo mine > /scratch/f")
        .await?;
    let read = stage.in_pod("reader", "cat /pmem/shared/f").await?;
    ensure!(read.trim() == "seen", "read {read:?}");
    for claim in ["shared", "writer-scratch"] {
        stage.namespace(&volume_of(&stage.kubectl, claim).await?).await?;
    }
    stage.kubectl.run(&["delete", "pod", "reader", "--wait=false"]).await?;
    stage.kubectl.run(&["delete", "pod", "writer"]).await?;
    workload::gone(&stage.kubectl, "pvc", "writer-scratch").await?;
    workload::gone(&stage.kubectl, "pod", "reader").await?;
    stage.namespace(&volume_of(&stage.kubectl, "shared").await?).await?;
    stage.kubectl.run(&["delete", "pvc", "shared"]).await?;
    Ok(())
}

/// A claim "POD-scratch" that is made with the pod, at `/scratch`.
fn add_scratch(pod: &mut serde_json::Value) {
    let template = json!({ "spec": {
        "storageClassName": "daxfit-sector",
        "accessModes": ["ReadWriteOncePod"],
        "resources": { "requests": { "storage": "30Mi" } },
    } });
    let volume = json!({ "name": "scratch", "ephemeral": { "volumeClaimTemplate": template } });
    let mount = json!({ "name": "scratch", "mountPath": "/scratch" });
    let mut add = |pointer: &str, item| {
        if let Some(list) = pod.pointer_mut(pointer).and_then(serde_json::Value::as_array_mut) {
            list.push(item);
        }
    };
    add("/spec/volumes", volume);
    add("/spec/containers/0/volumeMounts", mount);
}
