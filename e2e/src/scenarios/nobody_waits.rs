//! What once kept a pod waiting for ever.

use anyhow::{Result, anyhow};
use serde_json::json;

use crate::harness::test_cluster::TestCluster;
use crate::harness::wait::{HANG_LIMIT, Probe, until};
use crate::harness::workload::{self, Claim, gone};

/// A pod comes back to a volume on which not even an inode is left, and of which a container with the host's directories has
/// kept a mount.
pub(super) async fn a_full_volume_with_a_kept_mount_comes_back(cluster: &mut TestCluster) -> Result<()> {
    let claims = [Claim::new("full", "14Mi", "daxfit-ext4")];
    cluster.start("writer", &claims).await?;
    // Not with `:`, which ends a shell of POSIX when it cannot be redirected.
    let fill = "cd /pmem/full; n=0; while true 2>/dev/null >$n; do n=$((n + 1)); done; ! true 2>/dev/null >more";
    cluster.in_pod("writer", fill).await?;
    cluster.kubectl.apply(&[keeper(cluster)?]).await?;
    workload::running(&cluster.kubectl, "keeper").await?;
    cluster.kubectl.run(&["delete", "pod", "writer", "--wait=true"]).await?;
    is_unstaged(cluster).await?;
    let again = workload::pod("writer", cluster.image(), &claims);
    cluster.kubectl.apply(&[again]).await?;
    workload::running(&cluster.kubectl, "writer").await?;
    let free = "rm /pmem/full/0 && echo room >/pmem/full/0 && grep ' /pmem/full ' /proc/mounts | grep dax=always";
    cluster.in_pod("writer", free).await?;
    cluster.kubectl.run(&["delete", "pod", "keeper", "--wait=true"]).await?;
    gone(&cluster.kubectl, "pod", "keeper").await?;
    cluster.stop("writer", &claims).await
}

/// A pod that sees all of the host: without propagation, its mounts are copies that stay.
fn keeper(cluster: &TestCluster) -> Result<serde_json::Value> {
    let mut pod = workload::pod("keeper", cluster.image(), &[]);
    pod["spec"]["nodeName"] = json!(cluster.node()?);
    pod["spec"]["volumes"] = json!([{ "name": "host", "hostPath": { "path": "/" } }]);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([{ "name": "host", "mountPath": "/host" }]);
    Ok(pod)
}

/// Waits until the host has the volume mounted nowhere. The keeper has.
async fn is_unstaged(cluster: &TestCluster) -> Result<()> {
    until("the volume is unstaged", HANG_LIMIT, async || {
        match cluster
            .on_node("grep -c csi.daxfit.dev.*globalmount /proc/1/mountinfo || true")
            .await
        {
            Ok(count) if count.trim() == "0" => Probe::Ready(()),
            Ok(count) => Probe::NotYet(anyhow!("{} mounts are left", count.trim())),
            Err(error) => Probe::NotYet(error),
        }
    })
    .await
}
