//! Volumes that have to be on one NUMA node.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::stage::Stage;
use crate::workload::{self, Claim, volume_of};

/// Volumes of a pod whose class says so are on one NUMA node, although best fit would separate them; where there is no
/// room on one, the pod waits.
pub(super) async fn volumes_that_wish_so_are_together(stage: &mut Stage) -> Result<()> {
    let classes = [
        workload::class("together", "together", "WaitForFirstConsumer"),
        workload::class("now-on-one", "1", "Immediate"),
    ];
    stage.kubectl.apply(&classes).await?;
    // About 100 MiB are left on NUMA 1: best fit would send one claim of 90 MiB there, and the next to NUMA 0.
    let filling = Claim::new("filling", "400Mi", "now-on-one");
    stage.kubectl.apply(&[filling.object()]).await?;
    workload::bound(&stage.kubectl, filling.name).await?;
    let near = [
        Claim::new("near-0", "90Mi", "together"),
        Claim::new("near-1", "90Mi", "together"),
    ];
    stage.start("near", &near).await?;
    for claim in &near {
        ensure!(
            numa_of(stage, claim.name).await? == 0,
            "{} is not on NUMA 0",
            claim.name
        );
    }
    // These would fit on NUMA 0 and 1, but on neither of them together.
    let far = [
        Claim::new("far-0", "300Mi", "together"),
        Claim::new("far-1", "90Mi", "together"),
    ];
    stage.submit("far", &far).await?;
    workload::event(&stage.kubectl, "far", &["asked 300 MiB + 90 MiB on one NUMA node"]).await?;
    stage.stop("near", &near).await?;
    workload::running(&stage.kubectl, "far").await?;
    for claim in &far {
        ensure!(
            numa_of(stage, claim.name).await? == 0,
            "{} is not on NUMA 0",
            claim.name
        );
    }
    stage.stop("far", &far).await?;
    stage.kubectl.run(&["delete", "pvc", filling.name]).await?;
    stage
        .kubectl
        .run(&["delete", "storageclass", "-l", workload::OF_A_TEST])
        .await?;
    Ok(())
}

/// The NUMA node of a claim's volume, as the kernel, the driver and the operator all say.
async fn numa_of(stage: &Stage, claim: &str) -> Result<u64> {
    let name = volume_of(&stage.kubectl, claim).await?;
    let volume = stage.kubectl.json(&["get", "pmemvolume", &name]).await?;
    let settled = volume["spec"]["numa"].as_str().unwrap_or_default();
    let node = stage.kubectl.json(&["get", "pmemnode", &stage.node()?]).await?;
    let regions = node["status"]["regions"]
        .as_array()
        .context("the node has no regions")?;
    let region = regions.iter().find(|region| region["id"] == volume["status"]["region"]);
    let recorded = region
        .and_then(|region| region["numaNode"].as_u64())
        .context("its region is unknown")?;
    let namespace = stage.namespace_with(&name, "numa_node").await?;
    let real = namespace.as_u64().with_context(|| format!("ndctl says {namespace}"))?;
    ensure!(
        recorded == real && settled == real.to_string(),
        "{claim}: settled {settled}, recorded {recorded}, really on {real}"
    );
    Ok(real)
}

impl Stage {
    /// A field of the namespace of a volume, as `ndctl list` shows it.
    async fn namespace_with(&self, volume: &str, field: &str) -> Result<Value> {
        let printed = self.on_node("ndctl list -N -v").await?;
        let list: Value = serde_json::from_str(&printed).context("ndctl list prints no JSON")?;
        let list = if list.is_array() {
            list
        } else {
            Value::Array(vec![list])
        };
        let mut all = list.as_array().into_iter().flatten();
        let found = all.find(|namespace| namespace["name"] == *volume);
        let found = found.with_context(|| format!("no namespace is called {volume}: {printed}"))?;
        Ok(found[field].clone())
    }
}
