//! The death of every part in the middle of provisioning.

use anyhow::{Result, anyhow, ensure};

use crate::harness::kubectl::{Kubectl, SYSTEM_NAMESPACE};
use crate::harness::test_cluster::TestCluster;
use crate::harness::wait::{HANG_LIMIT, Probe, until};
use crate::harness::workload::{self, Claim, volume_of};

/// Node driver, operator and API server are killed while a volume is made; it ends bound, once.
pub(super) async fn provisioning_survives_the_death_of_every_part(cluster: &mut TestCluster) -> Result<()> {
    for victim in [Victim::NodeDriver, Victim::Operator, Victim::ApiServer] {
        let claims = [Claim::new("survivor", "120Mi", "daxfit-ext4")];
        cluster.submit("survivor", &claims).await?;
        until("provisioning begins", HANG_LIMIT, async || begun(cluster).await).await?;
        victim.kill(cluster).await?;
        workload::running(&cluster.kubectl, "survivor").await?;
        let volume = volume_of(&cluster.kubectl, "survivor").await?;
        cluster.namespace(&volume).await?;
        let all = cluster.namespaces().await?;
        ensure!(all.len() == 1, "{victim:?}: more than one namespace: {all:?}");
        cluster.stop("survivor", &claims).await?;
        cluster.is_as_before().await?;
    }
    Ok(())
}

/// The node loses power while a pod uses a volume. What was written is there when the kubelet starts the pod again.
pub(super) async fn data_survives_a_power_cut(cluster: &mut TestCluster) -> Result<()> {
    let claims = [Claim::new("kept", "60Mi", "daxfit-ext4")];
    cluster.start("keeper", &claims).await?;
    cluster.in_pod("keeper", "echo kept > /pmem/kept/f && sync").await?;
    let volume = volume_of(&cluster.kubectl, "kept").await?;
    let before = cluster.namespace(&volume).await?;
    cluster.started()?.power_cycle().await?;
    until("the pod reads its file", HANG_LIMIT, async || {
        match cluster.in_pod("keeper", "cat /pmem/kept/f").await {
            Ok(read) if read.trim() == "kept" => Probe::Ready(()),
            Ok(read) => Probe::Never(anyhow!("read {read:?}")),
            Err(error) => Probe::NotYet(error),
        }
    })
    .await?;
    let after = cluster.namespace(&volume).await?;
    ensure!(after.size == before.size, "{before:?} became {after:?}");
    cluster.stop("keeper", &claims).await
}

#[derive(Clone, Copy, Debug)]
enum Victim {
    NodeDriver,
    Operator,
    ApiServer,
}

impl Victim {
    /// Kills without a chance to clean up.
    async fn kill(self, cluster: &mut TestCluster) -> Result<()> {
        match self {
            Self::NodeDriver => {
                cluster.on_node("pkill -KILL -x daxfit-node-dri").await?;
                delete_pods(&cluster.kubectl, "daxfit-node-driver").await
            }
            Self::Operator => delete_pods(&cluster.kubectl, "daxfit-operator").await,
            Self::ApiServer => cluster.started()?.restart_apiserver().await,
        }
    }
}

async fn begun(cluster: &TestCluster) -> Probe<()> {
    match cluster.kubectl.items(&["pmemvolumes"]).await {
        Ok(volumes) if !volumes.is_empty() => Probe::Ready(()),
        Ok(_) => Probe::NotYet(anyhow!("no PmemVolume yet")),
        Err(error) => Probe::NotYet(error),
    }
}

async fn delete_pods(kubectl: &Kubectl, name: &str) -> Result<()> {
    let selector = format!("app.kubernetes.io/name={name}");
    let line = ["delete", "pod", "-n", SYSTEM_NAMESPACE, "-l", &selector];
    let at_once = ["--force", "--grace-period=0"];
    kubectl.run(&[&line[..], &at_once].concat()).await.map(drop)
}
