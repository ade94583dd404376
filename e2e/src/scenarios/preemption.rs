//! Pods that are evicted for others.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::harness::test_cluster::TestCluster;
use crate::harness::workload::{self, Claim};

/// The class of a pod that others are evicted for.
const IMPORTANT: &str = "important";

const HOLDER: [Claim; 1] = [Claim::new("holder", "300Mi", "daxfit-ext4")];
/// Each fits in the other region, both do not: kube-scheduler sees nothing but the largest volume.
const TOO_MUCH: [Claim; 2] = [
    Claim::new("too-much-0", "400Mi", "daxfit-ext4"),
    Claim::new("too-much-1", "400Mi", "daxfit-ext4"),
];
const FITS: [Claim; 1] = [Claim::new("fits", "400Mi", "daxfit-ext4")];

/// Two pods want the same port of the node. Who is evicted keeps his claims, so evicting is in vain unless the others fit beside.
pub(super) async fn nobody_is_evicted_in_vain(cluster: &mut TestCluster) -> Result<()> {
    let kubectl = &cluster.kubectl;
    let class = json!({
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": { "name": IMPORTANT },
        "value": 1000,
    });
    kubectl
        .apply(&[class, HOLDER[0].object(), with_port(cluster, "holder", &HOLDER, None)])
        .await?;
    workload::running(kubectl, "holder").await?;

    come(cluster, "too-much", &TOO_MUCH).await?;
    workload::event(kubectl, "too-much", &["free ports", "reemption"]).await?;
    // Evictions happen beside the attempt: the next pod is decided on after it.
    let after = [Claim::new("after", "20Mi", "daxfit-ext4")];
    cluster.start("after", &after).await?;
    let holder = kubectl.json(&["get", "pod", "holder"]).await?;
    ensure!(holder["metadata"]["deletionTimestamp"].is_null(), "evicted: {holder}");
    cluster.stop("too-much", &TOO_MUCH).await?;
    cluster.stop("after", &after).await?;

    come(cluster, "fits", &FITS).await?;
    workload::running(kubectl, "fits").await?;
    workload::gone(kubectl, "pod", "holder").await?;
    cluster.stop("fits", &FITS).await?;
    kubectl.run(&["delete", "pvc", "holder"]).await?;
    kubectl.run(&["delete", "priorityclass", IMPORTANT]).await?;
    Ok(())
}

async fn come(cluster: &TestCluster, pod: &str, claims: &[Claim<'_>]) -> Result<()> {
    let mut objects: Vec<Value> = claims.iter().map(Claim::object).collect();
    objects.push(with_port(cluster, pod, claims, Some(IMPORTANT)));
    cluster.kubectl.apply(&objects).await
}

fn with_port(cluster: &TestCluster, name: &str, claims: &[Claim<'_>], priority: Option<&str>) -> Value {
    let mut pod = workload::pod(name, cluster.image(), claims);
    pod["spec"]["containers"][0]["ports"] = json!([{ "containerPort": 9999, "hostPort": 9999 }]);
    pod["spec"]["priorityClassName"] = json!(priority);
    pod
}
