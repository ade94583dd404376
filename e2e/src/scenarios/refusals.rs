//! What is refused, and with which words.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::harness::test_cluster::TestCluster;
use crate::harness::workload::{self, Claim, OF_A_TEST};

/// Nothing and more than there are bytes.
pub(super) async fn sizes_that_are_none_are_refused(cluster: &mut TestCluster) -> Result<()> {
    let zero = cluster
        .kubectl
        .apply(&[Claim::new("zero", "0", "daxfit-ext4").object()])
        .await;
    let refusal = zero.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(
        refusal.contains("greater than zero"),
        "a claim of 0 is not refused: {refusal:?}"
    );
    let most = [Claim::new("most", "9223372036854775807", "daxfit-ext4")];
    cluster.submit("most", &most).await?;
    workload::event(&cluster.kubectl, "most", &["asked 9223372036854775807 B"]).await?;
    cluster.stop("most", &most).await?;
    // Kubernetes itself caps a quantity beyond i64 at its largest value.
    let beyond = [Claim::new("beyond", "9223372036854775808", "daxfit-ext4")];
    cluster.submit("beyond", &beyond).await?;
    workload::event(&cluster.kubectl, "beyond", &["9223372036854775807"]).await?;
    cluster.stop("beyond", &beyond).await
}

/// CreateVolume names the parameter and what is allowed instead.
pub(super) async fn a_wrong_parameter_is_named_in_the_event(cluster: &mut TestCluster) -> Result<()> {
    let class = json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": { "name": "wrong", "labels": { OF_A_TEST: "" } },
        "provisioner": "csi.daxfit.dev",
        "parameters": { "csi.daxfit.dev/mode": "devdax" },
        "volumeBindingMode": "Immediate",
    });
    cluster
        .kubectl
        .apply(&[class, Claim::new("wrong", "20Mi", "wrong").object()])
        .await?;
    workload::event(
        &cluster.kubectl,
        "wrong",
        &["csi.daxfit.dev/mode", "devdax", "fsdax, sector"],
    )
    .await?;
    cluster.kubectl.run(&["delete", "pvc", "wrong"]).await?;
    cluster.kubectl.run(&["delete", "storageclass", "wrong"]).await?;
    Ok(())
}
