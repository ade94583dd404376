//! Bursts of as many pods as there is room for, on hollow nodes.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::Api;
use kube::api::ListParams;
use serde_json::Value;

use crate::harness::hollow::HollowCluster;
use crate::harness::hollow::pods::{NAMESPACE, claim_object, make, pod_object};
use crate::harness::progress::step;

pub(super) const NODES: u32 = 6;
/// As many as there is room for: two in each region.
pub(super) const PODS: usize = 24;
const SIZE: &str = "480Mi";

/// Makes the pods, each changed by its number, waits until each has a node, and says how often a volume was refused that had
/// been promised.
pub(super) async fn fill(cluster: &mut HollowCluster, change: impl Fn(usize, &mut Value)) -> Result<f64> {
    let client = cluster.client();
    for number in 0..PODS {
        let name = format!("pod-{number}");
        make::<PersistentVolumeClaim>(&client, &claim_object(&name, SIZE)).await?;
        let mut pod = pod_object(&name, std::slice::from_ref(&name));
        change(number, &mut pod);
        make::<Pod>(&client, &pod).await?;
    }
    step("a node for each pod", all_have_nodes(cluster)).await?;
    refused_calls(cluster).await
}

async fn refused_calls(cluster: &HollowCluster) -> Result<f64> {
    let labels = [
        "method_name=\"/csi.v1.Controller/CreateVolume\"",
        "grpc_status_code=\"ResourceExhausted\"",
    ];
    let samples = cluster.provisioner_metrics().await?;
    samples.sum("csi_sidecar_operations_seconds_count", &labels)
}

async fn all_have_nodes(cluster: &mut HollowCluster) -> Result<()> {
    let ours = ListParams::default().fields("spec.schedulerName!=nobody");
    cluster
        .wait_for("all pods have nodes", async |client| {
            let found = Api::<Pod>::namespaced(client.clone(), NAMESPACE).list(&ours).await?;
            let has_node = |pod: &&Pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
            let some = found.items.iter().filter(has_node).count();
            ensure!(some == PODS, "{some} of {PODS} pods have nodes");
            Ok(())
        })
        .await
}
