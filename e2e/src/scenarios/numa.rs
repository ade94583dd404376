//! Volumes that have to be on one NUMA node.

use anyhow::{Context, Result, ensure};

use crate::harness::test_cluster::TestCluster;
use crate::harness::workload::{self, Claim, volume_of};

/// Volumes of a pod whose class says so are on one NUMA node, although best fit would separate them; where there is no
/// room on one, the pod waits.
pub(super) async fn volumes_that_wish_so_are_together(cluster: &mut TestCluster) -> Result<()> {
    let classes = [
        workload::class("together", "together", "WaitForFirstConsumer"),
        workload::class("now-on-one", "1", "Immediate"),
    ];
    cluster.kubectl.apply(&classes).await?;
    // About 100 MiB are left on NUMA 1: best fit would send one claim of 90 MiB there, and the next to NUMA 0.
    let filling = Claim::new("filling", "400Mi", "now-on-one");
    cluster.kubectl.apply(&[filling.object()]).await?;
    workload::bound(&cluster.kubectl, filling.name).await?;
    let near = [
        Claim::new("near-0", "90Mi", "together"),
        Claim::new("near-1", "90Mi", "together"),
    ];
    cluster.start("near", &near).await?;
    are_on_numa_0(cluster, &near).await?;
    // These would fit on NUMA 0 and 1, but on neither of them together.
    let far = [
        Claim::new("far-0", "300Mi", "together"),
        Claim::new("far-1", "90Mi", "together"),
    ];
    cluster.submit("far", &far).await?;
    workload::event(&cluster.kubectl, "far", &["asked 300 MiB + 90 MiB on one NUMA node"]).await?;
    cluster.stop("near", &near).await?;
    workload::running(&cluster.kubectl, "far").await?;
    are_on_numa_0(cluster, &far).await?;
    cluster.stop("far", &far).await?;
    cluster.kubectl.run(&["delete", "pvc", filling.name]).await?;
    cluster
        .kubectl
        .run(&["delete", "storageclass", "-l", workload::OF_A_TEST])
        .await?;
    Ok(())
}

async fn are_on_numa_0(cluster: &TestCluster, claims: &[Claim<'_>]) -> Result<()> {
    for claim in claims {
        let numa = numa_of(cluster, claim.name).await?;
        ensure!(numa == 0, "{} is on NUMA {numa}", claim.name);
    }
    Ok(())
}

/// The NUMA node of a claim's volume, on which kernel, driver and operator have to agree.
async fn numa_of(cluster: &TestCluster, claim: &str) -> Result<u64> {
    let name = volume_of(&cluster.kubectl, claim).await?;
    let volume = cluster.kubectl.json(&["get", "pmemvolume", &name]).await?;
    let settled = volume["spec"]["numa"].as_str().unwrap_or_default();
    let node = cluster.kubectl.json(&["get", "pmemnode", &cluster.node()?]).await?;
    let regions = node["status"]["regions"]
        .as_array()
        .context("the node has no regions")?;
    let region = regions.iter().find(|region| region["id"] == volume["status"]["region"]);
    let recorded = region
        .and_then(|region| region["numaNode"].as_u64())
        .context("its region is unknown")?;
    let namespace = cluster.namespace_field(&name, "numa_node").await?;
    let real = namespace.as_u64().with_context(|| format!("ndctl says {namespace}"))?;
    ensure!(
        recorded == real && settled == real.to_string(),
        "{claim}: settled {settled}, recorded {recorded}, really on {real}"
    );
    Ok(real)
}
