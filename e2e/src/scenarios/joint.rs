//! Pods with several claims that have to fit together.

use anyhow::{Context, Result, ensure};
use placement::Bytes;
use serde_json::{Value, json};

use crate::harness::test_cluster::TestCluster;
use crate::harness::workload::{self, Claim, bytes_at};

/// Two claims of one pod fit in every order of creation, and it runs. Those of the next fit one by one, so capacity alone
/// would let it through, but not together: it waits, an event has the reason, and it runs once there is room.
pub(super) async fn claims_that_do_not_fit_together_wait_and_the_extender_says_why(
    cluster: &mut TestCluster,
) -> Result<()> {
    // Whichever comes first: the second fits best beside it, and the other region stays empty.
    let both = [
        Claim::new("both-fsdax", "300Mi", "daxfit-ext4"),
        Claim::new("both-sector", "100Mi", "daxfit-sector"),
    ];
    cluster.start("both", &both).await?;
    let pair = [
        Claim::new("pair-0", "300Mi", "daxfit-ext4"),
        Claim::new("pair-1", "290Mi", "daxfit-ext4"),
    ];
    cluster.submit("pair", &pair).await?;
    let asked = "asked 300 MiB + 290 MiB; largest extent 502 MiB";
    workload::event(&cluster.kubectl, "pair", &["nodes are available", asked]).await?;
    workload::event(&cluster.kubectl, "pair", &[asked, "the only one"]).await?;
    says_why(cluster).await?;
    cluster.stop("both", &both).await?;
    workload::running(&cluster.kubectl, "pair").await?;
    let why = cluster.started()?.explain("pair").await?;
    ensure!(why["asked"] == json!([]), "a pod that runs asks for nothing: {why}");
    cluster.stop("pair", &pair).await
}

async fn says_why(cluster: &mut TestCluster) -> Result<()> {
    let name = cluster.node()?;
    let published = cluster.kubectl.json(&["get", "pmemnode", &name]).await?;
    let why = cluster.started()?.explain("pair").await?;
    let asked = json!([Bytes::mib(300), Bytes::mib(290)]);
    let required: Vec<&Value> = why["asked"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|claim| &claim["required"])
        .collect();
    ensure!(json!(required) == asked && why["verdict"] == Value::Null, "{why}");
    let nodes = why["nodes"].as_array().context("no nodes")?;
    let node = nodes
        .iter()
        .find(|node| node["node"] == *name)
        .with_context(|| format!("{name} is missing: {why}"))?;
    ensure!(node["holds"] == false && node["never"] == false, "{node}");
    ensure!(
        node["why"]["kind"] == "notTogether" && node["why"]["asked"] == asked,
        "{node}"
    );
    ensure!(node["reserved"] == json!([]) && node["pending"] == json!([]), "{node}");
    let free = free_of(&published)?;
    let extents = bytes_at(node, "/extents")?.get();
    ensure!(
        (bytes_at(node, "/free")?, extents) == free,
        "{free:?} are published: {node}"
    );
    Ok(())
}

/// Free bytes of a PmemNode, and in how many extents.
fn free_of(published: &Value) -> Result<(Bytes, i64)> {
    let regions = published["status"]["regions"].as_array().into_iter().flatten();
    let ready = regions.filter(|region| region["state"] == "Ready");
    let extents: Vec<&Value> = ready
        .flat_map(|region| region["free"].as_array().into_iter().flatten())
        .collect();
    let sizes: Result<Vec<Bytes>> = extents.iter().map(|extent| bytes_at(extent, "/size")).collect();
    Ok((sizes?.into_iter().sum(), i64::try_from(extents.len())?))
}
