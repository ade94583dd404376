//! Claims that two pods share, and volumes that come and go with their pod.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::harness::test_cluster::TestCluster;
use crate::harness::workload::{self, Claim, volume_of};

/// Two pods that are made at once use one claim, and one of them has a generic ephemeral volume besides.
pub(super) async fn pods_that_share_a_claim_and_one_that_brings_a_volume_run(cluster: &mut TestCluster) -> Result<()> {
    let shared = [Claim::new("shared", "40Mi", "daxfit-ext4")];
    let mut claim = shared[0].object();
    claim["spec"]["accessModes"] = json!(["ReadWriteOnce"]);
    let reader = workload::pod("reader", cluster.image(), &shared);
    let mut writer = workload::pod("writer", cluster.image(), &shared);
    add_scratch(&mut writer);
    cluster.kubectl.apply(&[claim, writer, reader]).await?;
    workload::running(&cluster.kubectl, "writer").await?;
    workload::running(&cluster.kubectl, "reader").await?;
    cluster
        .in_pod("writer", "echo seen > /pmem/shared/f && echo mine > /scratch/f")
        .await?;
    let read = cluster.in_pod("reader", "cat /pmem/shared/f").await?;
    ensure!(read.trim() == "seen", "read {read:?}");
    for claim in ["shared", "writer-scratch"] {
        cluster.namespace(&volume_of(&cluster.kubectl, claim).await?).await?;
    }
    cluster
        .kubectl
        .run(&["delete", "pod", "reader", "--wait=false"])
        .await?;
    cluster.kubectl.run(&["delete", "pod", "writer"]).await?;
    workload::gone(&cluster.kubectl, "pvc", "writer-scratch").await?;
    workload::gone(&cluster.kubectl, "pod", "reader").await?;
    cluster.namespace(&volume_of(&cluster.kubectl, "shared").await?).await?;
    cluster.kubectl.run(&["delete", "pvc", "shared"]).await?;
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
