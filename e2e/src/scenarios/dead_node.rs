//! A node whose driver does not run any more. On hollow nodes, whose drivers can be killed.

use anyhow::{Result, anyhow, ensure};
use crds::{PmemNode, PmemNodeStatus, PmemVolume};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::CSIStorageCapacity;
use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::json;

use crate::harness::hollow::pods::{NAMESPACE, claim_object, make, pod_object};
use crate::harness::hollow::{HollowCluster, Limits, NodeControl};

/// The node that dies, and the one that lives on.
const DEAD: &str = "hollow-0";
const ALIVE: &str = "hollow-1";

/// A pod that would like to be on one node is given to it right after its driver was killed. Once the driver is called silent, the node
/// has no capacity; later the volume that was to be made there is made on the other, and the pod is there.
pub(super) async fn what_was_half_made_there_is_made_elsewhere() -> Result<()> {
    HollowCluster::measure("dead-node", Limits::Default, async |cluster| {
        cluster.start_with_extender(2).await?;
        cluster.restart_scheduler(Limits::Default, true).await?;
        let mut drivers = NodeControl::connect(&cluster.node_control()).await?;
        drivers.drive(DEAD, false).await?;
        let client = cluster.client();
        make::<PersistentVolumeClaim>(&client, &claim_object("data", "50Mi")).await?;
        make::<Pod>(&client, &pod()).await?;
        volume_is(cluster, "it is to be made on the dead node", |volume| {
            volume.spec.node == DEAD
        })
        .await?;
        ensure!(pod_node(&client).await?.is_none(), "the pod runs without its volume");
        node_is(cluster, "it is called silent", PmemNodeStatus::is_silent).await?;
        has_no_capacity(cluster).await?;
        volume_is(cluster, "it is made on the other node", |volume| {
            let is_made = volume.status.as_ref().is_some_and(|status| status.usable.is_some());
            volume.spec.node == ALIVE && is_made
        })
        .await?;
        cluster
            .wait_for("the pod is there", async |client| {
                let node = pod_node(client).await?;
                ensure!(node.as_deref() == Some(ALIVE), "it is on {node:?}");
                Ok(())
            })
            .await?;
        drivers.drive(DEAD, true).await?;
        node_is(cluster, "it reports again", |status| !status.is_silent()).await?;
        node_is(cluster, "it has nothing of the volume", |status| {
            status
                .regions
                .iter()
                .all(|region| region.volume_names().next().is_none())
        })
        .await
    })
    .await
}

fn pod() -> serde_json::Value {
    let mut pod = pod_object("user", &["data".into()]);
    let there = json!({ "key": "metadata.name", "operator": "In", "values": [DEAD] });
    let wish = json!([{ "weight": 100, "preference": { "matchFields": [there] } }]);
    pod["spec"]["affinity"] = json!({ "nodeAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": wish } });
    pod
}

async fn pod_node(client: &Client) -> Result<Option<String>> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    Ok(pods.get("user").await?.spec.and_then(|spec| spec.node_name))
}

async fn volume_is(cluster: &mut HollowCluster, what: &str, is: impl Fn(&PmemVolume) -> bool) -> Result<()> {
    cluster
        .wait_for(what, async |client| {
            let volumes = Api::<PmemVolume>::all(client.clone())
                .list(&ListParams::default())
                .await?;
            match &volumes.items[..] {
                [volume] if is(volume) => Ok(()),
                others => Err(anyhow!("{others:?}")),
            }
        })
        .await
}

async fn node_is(cluster: &mut HollowCluster, what: &str, is: impl Fn(&PmemNodeStatus) -> bool) -> Result<()> {
    cluster
        .wait_for(what, async |client| {
            let status = Api::<PmemNode>::all(client.clone()).get(DEAD).await?.status;
            ensure!(status.as_ref().is_some_and(&is), "{status:?}");
            Ok(())
        })
        .await
}

async fn has_no_capacity(cluster: &mut HollowCluster) -> Result<()> {
    cluster
        .wait_for("it has no capacity", async |client| {
            let all = Api::<CSIStorageCapacity>::all(client.clone())
                .list(&ListParams::default())
                .await?;
            let of_dead = all
                .items
                .iter()
                .filter(|object| format!("{:?}", object.node_topology).contains(DEAD));
            ensure!(of_dead.count() == 0, "it has capacity");
            Ok(())
        })
        .await
}
