//! The objects that a kubelet makes, and those that it makes once the driver has registered with it.

use anyhow::Context;
use crds::{DRIVER_NAME, TOPOLOGY_KEY};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::storage::v1::CSINode;
use kube::api::PostParams;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Makes Node and CSINode, unless they are there.
pub async fn register(client: &Client, name: &str) -> anyhow::Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    ensure(&nodes, node(name)).await?;
    let uid = nodes.get(name).await?.metadata.uid;
    ensure(&Api::<CSINode>::all(client.clone()), csi_node(name, uid.as_deref())).await
}

async fn ensure<K>(api: &Api<K>, object: Value) -> anyhow::Result<()>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let object: K = serde_json::from_value(object)?;
    match api.create(&PostParams::default(), &object).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        made => made
            .map(drop)
            .with_context(|| format!("cannot make a {}", K::kind(&()))),
    }
}

/// A node that is ready for as long as nobody asks for heartbeats, with room for more pods than its memory holds volumes.
fn node(name: &str) -> Value {
    let now = Timestamp::now();
    let resources = json!({ "cpu": "64", "memory": "256Gi", "pods": "1000" });
    let condition = |kind: &str, status: &str, reason: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": "hollow",
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        })
    };
    json!({
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                // An administrator's, for the node-driver's DaemonSet.
                "daxfit.dev.node-restriction.kubernetes.io/pmem": "true",
                // The kubelet's, from the topology that the driver answers with.
                TOPOLOGY_KEY: name,
            },
        },
        "status": {
            "capacity": resources,
            "allocatable": resources,
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID"),
                condition("Ready", "True", "KubeletReady"),
            ],
        },
    })
}

fn csi_node(name: &str, owner: Option<&str>) -> Value {
    json!({
        "metadata": {
            "name": name,
            "ownerReferences": [{ "apiVersion": "v1", "kind": "Node", "name": name, "uid": owner }],
        },
        "spec": { "drivers": [{ "name": DRIVER_NAME, "nodeID": name, "topologyKeys": [TOPOLOGY_KEY] }] },
    })
}
