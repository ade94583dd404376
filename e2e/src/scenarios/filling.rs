//! Bursts of as many pods as there is room for, on hollow nodes.

use anyhow::{Result, anyhow};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::Api;
use kube::api::ListParams;
use serde_json::Value;

use crate::harness::hollow::HollowCluster;
use crate::harness::hollow::pods::{NAMESPACE, claim_object, make, pod_object};
use crate::harness::progress::step;
use crate::harness::wait::{HANG_LIMIT, Probe, until};

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
    let pods: Api<Pod> = Api::namespaced(cluster.client(), NAMESPACE);
    let ours = ListParams::default().fields("spec.schedulerName!=nobody");
    until("all pods have nodes", HANG_LIMIT, async || {
        if let Err(error) = cluster.check() {
            return Probe::Never(error);
        }
        match pods.list(&ours).await {
            Ok(found) => {
                let has_node = |pod: &&Pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
                match found.items.iter().filter(has_node).count() {
                    PODS => Probe::Ready(()),
                    some => Probe::NotYet(anyhow!("{some} of {PODS} pods have nodes")),
                }
            }
            Err(error) => Probe::NotYet(error.into()),
        }
    })
    .await
}
