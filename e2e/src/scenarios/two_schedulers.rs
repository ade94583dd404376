//! Two schedulers beside each other, each with an extender and a ledger of its own. On hollow nodes.

use anyhow::{Result, anyhow};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::Api;
use kube::api::ListParams;
use serde_json::json;

use crate::harness::hollow::pods::{NAMESPACE, claim_object, make, pod_object};
use crate::harness::hollow::{HollowCluster, Limits, SECOND_SCHEDULER};
use crate::harness::progress::step;
use crate::harness::wait::{HANG_LIMIT, Probe, until};

const NODES: u32 = 6;
/// As many as there is room for: two in each region.
const PODS: usize = 24;

/// A burst through both, of as many pods as there is room for: each of them gets its volume, whatever both gave away at the same time.
pub(super) async fn a_burst_through_both_comes_right() -> Result<()> {
    HollowCluster::measure("two-schedulers", Limits::Lifted, async |cluster| {
        cluster.start_with_extender(NODES).await?;
        cluster.restart_scheduler(Limits::Lifted, true).await?;
        cluster.start_second_scheduler().await?;
        let client = cluster.client();
        for number in 0..PODS {
            let name = format!("pod-{number}");
            make::<PersistentVolumeClaim>(&client, &claim_object(&name, "480Mi")).await?;
            let mut pod = pod_object(&name, std::slice::from_ref(&name));
            if number % 2 == 1 {
                pod["spec"]["schedulerName"] = json!(SECOND_SCHEDULER);
            }
            make::<Pod>(&client, &pod).await?;
        }
        step("a node for each pod", all_have_nodes(cluster)).await?;
        let refused = refused_calls(cluster).await?;
        println!("{PODS} pods through two schedulers: {refused} calls of CreateVolume refused");
        Ok(())
    })
    .await
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
    until("all pods have nodes", HANG_LIMIT, async || {
        if let Err(error) = cluster.check() {
            return Probe::Never(error);
        }
        match pods.list(&ListParams::default()).await {
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
