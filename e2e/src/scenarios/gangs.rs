//! Pods of which all are placed or none (KEP-4671), on hollow nodes and with the feature gates of 1.36.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::held::{held_nodes, onlooker};
use crate::harness::hollow::pods::{NAMESPACE, make, pod_object};
use crate::harness::hollow::{HollowCluster, Limits, Nodes};
use crate::harness::progress::step;
use crate::harness::wait::{HANG_LIMIT, Probe, until};

/// The pods of the gang, and for how many of them there is room: one for each region of the nodes.
const MEMBERS: usize = 32;
const NODES: u32 = 12;
/// So much is held at most once the gang was refused.
const HOLDS_NOTHING: Duration = Duration::from_secs(5);

/// A gang for which there is no room passes the filter with most of its members, again and again, and nothing stays reserved.
pub(super) async fn a_gang_that_fails_holds_nothing() -> Result<()> {
    HollowCluster::measure("gangs", Limits::Default, async |cluster| {
        cluster.restart_with_gangs().await?;
        let nodes = Nodes {
            count: NODES,
            region: "1Gi",
        };
        step("starting operator, provisioner and nodes", cluster.start_daxfit(nodes)).await?;
        cluster.start_extender().await?;
        cluster.restart_scheduler(Limits::Default, true).await?;
        let client = cluster.client();
        make::<PersistentVolumeClaim>(&client, &claim("looks", "50Mi")).await?;
        make::<Pod>(&client, &onlooker("looks")).await?;
        make_gang(&client).await?;
        refused(cluster).await?;
        let gave_up = Instant::now();
        until("nothing is held", HANG_LIMIT, async || {
            match held_nodes(cluster, "looks").await {
                Ok(0) => Probe::Ready(()),
                Ok(nodes) => Probe::NotYet(anyhow!("it is held on {nodes} nodes")),
                Err(error) => Probe::NotYet(error),
            }
        })
        .await?;
        let took = gave_up.elapsed();
        println!("nothing is held {} ms after the gang was refused", took.as_millis());
        ensure!(took < HOLDS_NOTHING, "it was held for {took:?}");
        Ok(())
    })
    .await
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
        make::<PersistentVolumeClaim>(client, &claim(&name, "900Mi")).await?;
        let mut pod = pod_object(&name, std::slice::from_ref(&name));
        pod["metadata"]["labels"] = json!({ "gang": "gang" });
        pod["spec"]["schedulingGroup"] = json!({ "podGroupName": "gang" });
        make::<Pod>(client, &pod).await?;
    }
    Ok(())
}

/// Waits until kube-scheduler has said of all members that they are not placed.
async fn refused(cluster: &mut HollowCluster) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), NAMESPACE);
    let members = ListParams::default().labels("gang=gang");
    until("the gang to be refused", HANG_LIMIT, async || {
        if let Err(error) = cluster.check() {
            return Probe::Never(error);
        }
        match pods.list(&members).await {
            Ok(found) => {
                let refused = found
                    .items
                    .iter()
                    .filter(|pod| cluster::waits_for_node(pod).is_some())
                    .count();
                match refused {
                    MEMBERS => Probe::Ready(()),
                    some => Probe::NotYet(anyhow!("{some} of {MEMBERS} members are refused")),
                }
            }
            Err(error) => Probe::NotYet(error.into()),
        }
    })
    .await
}

fn claim(name: &str, size: &str) -> Value {
    json!({
        "metadata": { "name": name },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "daxfit-ext4",
            "resources": { "requests": { "storage": size } },
        },
    })
}
