//! Pods of which all are placed or none (KEP-4671), on hollow nodes and with the feature gates of 1.36.

use std::time::Duration;

use anyhow::{Result, ensure};
use cluster::waits_for_node;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

use super::held::{holds_nothing, holds_nothing_within, onlooker};
use crate::harness::hollow::pods::{NAMESPACE, claim_object, make, pod_object};
use crate::harness::hollow::{HollowCluster, Limits};
use crate::harness::progress::step;

/// The pods of the gang. There is room for 24 of them: one in each region of the nodes.
const MEMBERS: usize = 32;
const NODES: u32 = 12;
/// As much as each of them asks for.
const SIZE: &str = "900Mi";

/// A gang that does not fit is tried many times a second, and most of its members pass the filter each time. Another pod finds room
/// meanwhile; and once the gang is deleted, nothing is held.
pub(super) async fn a_gang_that_fails_keeps_no_room_from_others() -> Result<()> {
    HollowCluster::measure("gangs", Limits::Default, async |cluster| {
        cluster.restart_with_gangs().await?;
        cluster.start_with_extender(NODES).await?;
        cluster.restart_scheduler(Limits::Default, true).await?;
        let client = cluster.client();
        make::<PersistentVolumeClaim>(&client, &claim_object("looks", "50Mi")).await?;
        make::<Pod>(&client, &onlooker("looks")).await?;
        make_gang(&client).await?;
        refused(cluster).await?;
        holds_nothing_within(cluster, "looks", GIVES_UP_WITHIN).await?;
        make::<PersistentVolumeClaim>(&client, &claim_object("other", SIZE)).await?;
        make::<Pod>(&client, &pod_object("other", &["other".into()])).await?;
        step("a node for the other pod", has_node(cluster, "other")).await?;
        delete_gang(&client).await?;
        holds_nothing(cluster, "looks").await
    })
    .await
}

/// A gang that is refused holds nothing between its cycles, which are a fraction of a second.
const GIVES_UP_WITHIN: Duration = Duration::from_secs(5);

async fn has_node(cluster: &mut HollowCluster, name: &str) -> Result<()> {
    cluster
        .wait_for("the pod has a node", async |client| {
            let pod = Api::<Pod>::namespaced(client.clone(), NAMESPACE).get(name).await?;
            let has_node = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
            ensure!(has_node, "{:?}", waits_for_node(&pod));
            Ok(())
        })
        .await
}

async fn delete_gang(client: &Client) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let at_once = DeleteParams::default().grace_period(0);
    pods.delete_collection(&at_once, &ListParams::default().labels("gang=gang"))
        .await?;
    Ok(())
}

async fn make_gang(client: &Client) -> Result<()> {
    let kind = GroupVersionKind::gvk("scheduling.k8s.io", "v1alpha2", "PodGroup");
    let groups: Api<DynamicObject> = Api::namespaced_with(client.clone(), NAMESPACE, &ApiResource::from_gvk(&kind));
    let group = json!({
        "apiVersion": "scheduling.k8s.io/v1alpha2",
        "kind": "PodGroup",
        "metadata": { "name": "gang" },
        "spec": { "schedulingPolicy": { "gang": { "minCount": MEMBERS } } },
    });
    groups
        .create(&PostParams::default(), &serde_json::from_value(group)?)
        .await?;
    for number in 0..MEMBERS {
        let name = format!("member-{number}");
        make::<PersistentVolumeClaim>(client, &claim_object(&name, SIZE)).await?;
        let mut pod = pod_object(&name, std::slice::from_ref(&name));
        pod["metadata"]["labels"] = json!({ "gang": "gang" });
        pod["spec"]["schedulingGroup"] = json!({ "podGroupName": "gang" });
        make::<Pod>(client, &pod).await?;
    }
    Ok(())
}

/// Waits until kube-scheduler has said of all members that they are not placed.
async fn refused(cluster: &mut HollowCluster) -> Result<()> {
    let members = ListParams::default().labels("gang=gang");
    cluster
        .wait_for("the gang to be refused", async |client| {
            let found = Api::<Pod>::namespaced(client.clone(), NAMESPACE).list(&members).await?;
            let refused = found.items.iter().filter(|pod| waits_for_node(pod).is_some()).count();
            ensure!(refused == MEMBERS, "{refused} of {MEMBERS} members are refused");
            Ok(())
        })
        .await
}
