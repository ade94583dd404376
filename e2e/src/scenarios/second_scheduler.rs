//! `manifests/second-scheduler`: a kube-scheduler of its own, for pods that name it.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::harness::test_cluster::TestCluster;
use crate::harness::workload::{self, Claim};

/// Pods of both come at once, and there is room for exactly these: each runs, and each claim has its bytes. Then the second scheduler is
/// removed.
pub(super) async fn both_place_pods_side_by_side(cluster: &mut TestCluster) -> Result<()> {
    cluster.started()?.install_second_scheduler().await?;
    let first = [
        Claim::new("first-large", "300Mi", "daxfit-ext4"),
        Claim::new("first-small", "150Mi", "daxfit-ext4"),
    ];
    let second = [
        Claim::new("second-large", "300Mi", "daxfit-ext4"),
        Claim::new("second-small", "150Mi", "daxfit-ext4"),
    ];
    let mut pod = workload::pod("by-second", cluster.image(), &second);
    pod["spec"]["schedulerName"] = json!("daxfit-scheduler");
    let claims = first.iter().chain(&second).map(Claim::object);
    let others = [pod, workload::pod("by-first", cluster.image(), &first)];
    cluster.kubectl.apply(&claims.chain(others).collect::<Vec<_>>()).await?;
    workload::running(&cluster.kubectl, "by-first").await?;
    workload::running(&cluster.kubectl, "by-second").await?;
    let log = [
        "logs",
        "-n",
        "daxfit-system",
        "deploy/daxfit-scheduler",
        "-c",
        "extender",
    ];
    let log = cluster.kubectl.run(&log).await?;
    ensure!(
        log.contains("by-second") && !log.contains("pod=\"by-first\""),
        "its extender was asked for other pods than its own: {log}"
    );
    cluster.stop("by-first", &first).await?;
    cluster.stop("by-second", &second).await?;
    cluster.started()?.remove_second_scheduler().await
}
