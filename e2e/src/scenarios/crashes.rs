//! The death of every part in the middle of provisioning.

use anyhow::{Result, anyhow, ensure};

use crate::cluster::wait::{Probe, until};
use crate::stage::Stage;
use crate::workload::{self, Claim, PATIENCE, volume_of};

/// Node driver, operator and API server are killed while a volume is made; it ends bound, once.
pub(super) async fn provisioning_survives_the_death_of_every_part(stage: &mut Stage) -> Result<()> {
    for victim in [Victim::NodeDriver, Victim::Operator, Victim::ApiServer] {
        let claims = [Claim::new("survivor", "120Mi", "daxfit-ext4")];
        stage.submit("survivor", &claims).await?;
        until("provisioning begins", PATIENCE, async || begun(stage).await).await?;
        victim.kill(stage).await?;
        workload::running(&stage.kubectl, "survivor").await?;
        let volume = volume_of(&stage.kubectl, "survivor").await?;
        stage.namespace(&volume).await?;
        let all = stage.namespaces().await?;
        ensure!(all.len() == 1, "{victim:?}: more than one namespace: {all:?}");
        stage.stop("survivor", &claims).await?;
        stage.is_as_before().await?;
    }
    Ok(())
}

/// The node loses power while a pod uses a volume. What was written is there when the kubelet starts the pod again.
pub(super) async fn data_survives_a_power_cut(stage: &mut Stage) -> Result<()> {
    let claims = [Claim::new("kept", "60Mi", "daxfit-ext4")];
    stage.start("keeper", &claims).await?;
    stage.in_pod("keeper", "echo kept > /pmem/kept/f && sync").await?;
    let volume = volume_of(&stage.kubectl, "kept").await?;
    let before = stage.namespace(&volume).await?;
    stage.cluster()?.power_cycle().await?;
    until("the pod reads its file", PATIENCE, async || {
        match stage.in_pod("keeper", "cat /pmem/kept/f").await {
            Ok(read) if read.trim() == "kept" => Probe::Ready(()),
            Ok(read) => Probe::Never(anyhow!("read {read:?}")),
            Err(error) => Probe::NotYet(error),
        }
    })
    .await?;
    let after = stage.namespace(&volume).await?;
    ensure!(after.size == before.size, "{before:?} became {after:?}");
    stage.stop("keeper", &claims).await
}

#[derive(Clone, Copy, Debug)]
enum Victim {
    NodeDriver,
    Operator,
    ApiServer,
}

impl Victim {
    /// Kills without a chance to clean up.
    async fn kill(self, stage: &mut Stage) -> Result<()> {
        match self {
            Self::NodeDriver => {
                stage.on_node("pkill -KILL -x daxfit-node-dri").await?;
                stage.delete_pods("daxfit-node-driver").await
            }
            Self::Operator => stage.delete_pods("daxfit-operator").await,
            Self::ApiServer => stage.cluster()?.restart_apiserver().await,
        }
    }
}

async fn begun(stage: &Stage) -> Probe<()> {
    match stage.kubectl.items(&["pmemvolumes"]).await {
        Ok(volumes) if !volumes.is_empty() => Probe::Ready(()),
        Ok(_) => Probe::NotYet(anyhow!("no PmemVolume yet")),
        Err(error) => Probe::NotYet(error),
    }
}

impl Stage {
    async fn delete_pods(&self, name: &str) -> Result<()> {
        let selector = format!("app.kubernetes.io/name={name}");
        let force = [
            "delete",
            "pod",
            "-n",
            "daxfit-system",
            "-l",
            &selector,
            "--force",
            "--grace-period=0",
        ];
        self.kubectl.run(&force).await.map(drop)
    }
}
