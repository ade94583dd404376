//! What people do to objects that they had better left alone. On a hollow node.

use anyhow::{Context, Result, ensure};
use crds::{PmemNode, PmemVolume, RegionState, RegionStatus, TOPOLOGY_KEY, VolumeMode};
use k8s_openapi::api::core::v1::{Event, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use placement::RegionId;
use serde_json::{Value, json};

use crate::harness::hollow::pods::{NAMESPACE, claim_object, make, pod_object};
use crate::harness::hollow::{HollowCluster, Limits, NodeControl};

const NODE: &str = "hollow-0";
const CLASS: &str = "mine";

pub(super) async fn none_of_them_lasts() -> Result<()> {
    HollowCluster::measure("mistakes", Limits::Default, async |cluster| {
        cluster.start_with_extender(1).await?;
        cluster.restart_scheduler(Limits::Default, true).await?;
        a_report_that_was_edited_is_corrected(cluster).await?;
        a_region_that_was_taken_out_is_forgotten(cluster).await?;
        an_id_that_is_none_is_told(cluster).await?;
        a_class_that_was_made_anew_counts(cluster).await
    })
    .await
}

async fn a_report_that_was_edited_is_corrected(cluster: &mut HollowCluster) -> Result<()> {
    let nodes: Api<PmemNode> = Api::all(cluster.client());
    let status = nodes.get(NODE).await?.status.context("no status")?;
    let edited = json!({ "status": { "backend": "edited", "totals": { "free": 1 } } });
    let patched = nodes
        .patch_status(NODE, &PatchParams::default(), &Patch::Merge(&edited))
        .await?;
    ensure!(
        patched.status.is_some_and(|now| now.backend == "edited"),
        "it cannot be edited"
    );
    cluster
        .wait_for("the report is as before", async |client| {
            let now = Api::<PmemNode>::all(client.clone()).get(NODE).await?.status;
            let now = now.context("no status")?;
            ensure!(
                (&now.backend, now.totals.free) == (&status.backend, status.totals.free),
                "{now:?}"
            );
            Ok(())
        })
        .await
}

/// A module with a volume was taken out for good while the driver was away. Its region is forgotten as docs/troubleshooting.md has it: a
/// driver that runs when the report is deleted writes it again as it was.
async fn a_region_that_was_taken_out_is_forgotten(cluster: &mut HollowCluster) -> Result<()> {
    let mut drivers = NodeControl::connect(&cluster.node_control()).await?;
    let nodes: Api<PmemNode> = Api::all(cluster.client());
    drivers.drive(NODE, false).await?;
    let mut regions = nodes.get(NODE).await?.status.context("no status")?.regions;
    let mut taken_out = regions.first().context("no region")?.clone();
    taken_out.id = RegionId("taken-out".into());
    taken_out.volumes = vec!["was-there".into()];
    regions.push(taken_out);
    let reported = json!({ "status": { "regions": regions } });
    nodes
        .patch_status(NODE, &PatchParams::default(), &Patch::Merge(&reported))
        .await?;
    drivers.drive(NODE, true).await?;
    regions_are(cluster, "the region is said to be away", |regions| {
        let away = regions.iter().filter(|region| region.state == RegionState::NotSeen);
        let mut told = away.map(|region| region.message.contains("any more, which held volumes"));
        (told.next(), told.next()) == (Some(true), None)
    })
    .await?;

    drivers.drive(NODE, false).await?;
    nodes.delete(NODE, &DeleteParams::default()).await?;
    drivers.drive(NODE, true).await?;
    regions_are(cluster, "the region is forgotten", |regions| {
        regions.len() == 2 && regions.iter().all(|region| region.state == RegionState::Ready)
    })
    .await
}

async fn regions_are(cluster: &mut HollowCluster, what: &str, are: impl Fn(&[RegionStatus]) -> bool) -> Result<()> {
    cluster
        .wait_for(what, async |client| {
            let now = Api::<PmemNode>::all(client.clone()).get(NODE).await?.status;
            let regions = now.context("no status")?.regions;
            ensure!(are(&regions), "{regions:?}");
            Ok(())
        })
        .await
}

/// A PersistentVolume that somebody wrote by hand. Its deletion waits, and says why; without it, nothing is left.
async fn an_id_that_is_none_is_told(cluster: &mut HollowCluster) -> Result<()> {
    let volumes: Api<PersistentVolume> = Api::all(cluster.client());
    let made = volumes
        .create(&PostParams::default(), &serde_json::from_value(released("by.hand"))?)
        .await?;
    ensure!(made.spec.is_some(), "it was not made");
    is_told(
        cluster,
        &[
            "\"by.hand\" cannot be the id of a volume",
            "delete the PersistentVolume",
        ],
    )
    .await?;
    volumes.delete("by.hand", &DeleteParams::default()).await?;
    let unfinalized = json!({ "metadata": { "finalizers": null } });
    volumes
        .patch("by.hand", &PatchParams::default(), &Patch::Merge(&unfinalized))
        .await
        .map(drop)
        .or_else(gone)
}

/// Waits for an event with all of these words.
async fn is_told(cluster: &mut HollowCluster, words: &[&str]) -> Result<()> {
    cluster
        .wait_for("an event", async |client| {
            let events = Api::<Event>::all(client.clone()).list(&ListParams::default()).await?;
            let told = |event: &Event| {
                let note = event.message.as_deref().unwrap_or_default();
                words.iter().all(|word| note.contains(word))
            };
            ensure!(
                events.items.iter().any(told),
                "none of {} has {words:?}",
                events.items.len()
            );
            Ok(())
        })
        .await
}

fn gone(error: kube::Error) -> Result<()> {
    match error {
        kube::Error::Api(status) if status.code == 404 => Ok(()),
        other => Err(other.into()),
    }
}

/// Its claim was deleted.
fn released(name: &str) -> Value {
    let on_node = json!({ "key": TOPOLOGY_KEY, "operator": "In", "values": [NODE] });
    json!({
        "metadata": {
            "name": name,
            "annotations": { "pv.kubernetes.io/provisioned-by": crds::DRIVER_NAME },
        },
        "spec": {
            "capacity": { "storage": "40Mi" },
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Delete",
            "claimRef": { "kind": "PersistentVolumeClaim", "namespace": NAMESPACE, "name": "no-more", "uid": "of-no-claim" },
            "csi": { "driver": crds::DRIVER_NAME, "volumeHandle": name },
            "nodeAffinity": { "required": { "nodeSelectorTerms": [{ "matchExpressions": [on_node] }] } },
        },
    })
}

/// The class is made anew with another mode before the volume of its claim is made.
async fn a_class_that_was_made_anew_counts(cluster: &mut HollowCluster) -> Result<()> {
    let client = cluster.client();
    let mut nodes = NodeControl::connect(&cluster.node_control()).await?;
    let classes: Api<StorageClass> = Api::all(client.clone());
    make_class(&classes, "fsdax").await?;
    nodes.drive(NODE, false).await?;
    let mut claim = claim_object("data", "50Mi");
    claim["spec"]["storageClassName"] = json!(CLASS);
    make::<PersistentVolumeClaim>(&client, &claim).await?;
    make::<Pod>(&client, &pod_object("user", &["data".into()])).await?;
    volume_is(cluster, "its volume is to be made", VolumeMode::Fsdax, false).await?;
    classes.delete(CLASS, &DeleteParams::default()).await?;
    make_class(&classes, "sector").await?;
    // The call that is under way was made for the class as it was.
    is_told(cluster, &["is not what is wanted now", "nobody used it"]).await?;
    nodes.drive(NODE, true).await?;
    volume_is(
        cluster,
        "the volume is as the class says by now",
        VolumeMode::Sector,
        true,
    )
    .await?;
    cluster
        .wait_for("the pod is there", async |client| {
            let pod = Api::<Pod>::namespaced(client.clone(), NAMESPACE).get("user").await?;
            ensure!(pod.spec.is_some_and(|spec| spec.node_name.is_some()), "it has no node");
            Ok(())
        })
        .await
}

async fn make_class(classes: &Api<StorageClass>, mode: &str) -> Result<()> {
    let class = json!({
        "metadata": { "name": CLASS },
        "provisioner": crds::DRIVER_NAME,
        "parameters": { "csi.daxfit.dev/mode": mode },
        "volumeBindingMode": "WaitForFirstConsumer",
    });
    classes
        .create(&PostParams::default(), &serde_json::from_value(class)?)
        .await
        .map(drop)
        .context("making the class")
}

async fn volume_is(cluster: &mut HollowCluster, what: &str, mode: VolumeMode, is_made: bool) -> Result<()> {
    cluster
        .wait_for(what, async |client: &Client| {
            let volumes = Api::<PmemVolume>::all(client.clone())
                .list(&ListParams::default())
                .await?;
            let is_it = |volume: &PmemVolume| {
                let usable = volume.status.as_ref().and_then(|status| status.usable);
                volume.spec.mode == mode && usable.is_some() == is_made
            };
            ensure!(volumes.items.iter().any(is_it), "{:?}", volumes.items);
            Ok(())
        })
        .await
}
