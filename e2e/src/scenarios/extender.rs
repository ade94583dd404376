//! The extender is down, and comes back.

use anyhow::{Result, anyhow, ensure};
use serde_json::json;

use crate::harness::cluster::part::{Part, Signal};
use crate::harness::kubectl::SYSTEM_NAMESPACE;
use crate::harness::test_cluster::TestCluster;
use crate::harness::wait::{HANG_LIMIT, Probe, until};
use crate::harness::workload::{self, Claim};

const EXTENDER: &str = "daemonset/daxfit-extender";
const EXTENDER_PODS: [&str; 3] = ["pods", "-l", "app.kubernetes.io/name=daxfit-extender"];

const LARGE: [Claim; 2] = [
    Claim::new("large-0", "300Mi", "daxfit-ext4"),
    Claim::new("large-1", "300Mi", "daxfit-ext4"),
];
/// It would fit if one of the others were not there.
const WAITS: [Claim; 1] = [Claim::new("waits", "300Mi", "daxfit-ext4")];

/// Pods are placed while no extender answers. One that still waits when it comes back gets its reason, and runs in the end.
pub(super) async fn pods_that_come_while_no_extender_answers_are_placed_by_capacity(
    cluster: &mut TestCluster,
) -> Result<()> {
    be_somewhere(cluster, json!({ "daxfit.dev/nowhere": "" })).await?;
    let placed = placed_without_extender(cluster).await;
    // Whatever came of it, the next scenario finds an extender.
    be_somewhere(cluster, json!({ "daxfit.dev/nowhere": null })).await?;
    placed?;
    cluster.kubectl.rolled_out(EXTENDER).await?;
    let why = cluster.started()?.explain("waits").await?;
    ensure!(why["nodes"][0]["why"]["kind"] == "noSpace", "{why}");
    cluster.stop("large", &LARGE).await?;
    workload::running(&cluster.kubectl, "waits").await?;
    cluster.stop("waits", &WAITS).await
}

/// It costs each pod a second meanwhile, and no pod waits for it.
pub(super) async fn one_that_hangs_is_started_anew(cluster: &mut TestCluster) -> Result<()> {
    let claims = [Claim::new("meanwhile", "100Mi", "daxfit-ext4")];
    let before = restarts(cluster).await?;
    cluster.started()?.signal(Part::Extender, Signal::Stop).await?;
    cluster.start("meanwhile", &claims).await?;
    until("the extender is started anew", HANG_LIMIT, async || {
        match (restarts(cluster).await, cluster.started()) {
            (Ok(now), Ok(started)) if now > before => match started.explain("meanwhile").await {
                Ok(_) => Probe::Ready(()),
                Err(error) => Probe::NotYet(error),
            },
            (Ok(now), _) => Probe::NotYet(anyhow!("{now} starts")),
            (Err(error), _) => Probe::NotYet(error),
        }
    })
    .await?;
    cluster.stop("meanwhile", &claims).await
}

/// How often the container of the extender was started again.
async fn restarts(cluster: &TestCluster) -> Result<u64> {
    let [kind, flag, label] = EXTENDER_PODS;
    let pods = cluster
        .kubectl
        .items(&[kind, "-n", SYSTEM_NAMESPACE, flag, label])
        .await?;
    let counts = pods
        .iter()
        .flat_map(|pod| pod["status"]["containerStatuses"].as_array().into_iter().flatten());
    Ok(counts.filter_map(|status| status["restartCount"].as_u64()).sum())
}

async fn placed_without_extender(cluster: &mut TestCluster) -> Result<()> {
    workload::none_left(&cluster.kubectl, &EXTENDER_PODS).await?;
    ensure!(cluster.started()?.explain("any").await.is_err(), "an extender answers");
    cluster.start("large", &LARGE).await?;
    cluster.submit("waits", &WAITS).await?;
    workload::event(&cluster.kubectl, "waits", &["asked 300 MiB"])
        .await
        .map(drop)
}

/// Changes where the extender runs.
async fn be_somewhere(cluster: &TestCluster, selector: serde_json::Value) -> Result<()> {
    let patch = json!({ "spec": { "template": { "spec": { "nodeSelector": selector } } } }).to_string();
    let patched = cluster
        .kubectl
        .run(&["patch", "-n", SYSTEM_NAMESPACE, EXTENDER, "-p", &patch])
        .await;
    patched.map(drop)
}
