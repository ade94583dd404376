//! Volumes whose objects are gone: by hand, or with all of Daxfit. Only what DeleteVolume was called for is erased.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};

use crate::harness::cluster::install::Removal;
use crate::harness::test_cluster::TestCluster;
use crate::harness::wait::{HANG_LIMIT, Probe, until};
use crate::harness::workload::{self, Claim, volume_of};

/// By claim.
type Checksums = BTreeMap<String, String>;

/// The object is deleted while a pod uses the volume, and while none does. It is back each time, and so is the file.
pub(super) async fn a_volume_whose_object_is_deleted_keeps_its_data(cluster: &mut TestCluster) -> Result<()> {
    let claims = [Claim::new("kept", "60Mi", "daxfit-ext4")];
    cluster.start("keeper", &claims).await?;
    let written = write_files(cluster, "keeper", &claims).await?;
    let volume = volume_of(&cluster.kubectl, "kept").await?;
    delete_object(cluster, &volume).await?;
    workload::event(&cluster.kubectl, "kept", &["nothing was erased", &volume]).await?;
    has_files(cluster, "keeper", &written).await?;

    cluster.kubectl.run(&["delete", "pod", "keeper", "--wait=true"]).await?;
    delete_object(cluster, &volume).await?;
    cluster.submit("keeper", &claims).await?;
    workload::running(&cluster.kubectl, "keeper").await?;
    has_files(cluster, "keeper", &written).await?;
    cluster.stop("keeper", &claims).await
}

/// Deletes the object as anybody can, and waits until another is there and as ready.
async fn delete_object(cluster: &TestCluster, volume: &str) -> Result<()> {
    let uid = async || {
        let object = cluster.kubectl.json(&["get", "pmemvolume", volume]).await?;
        let is_ready = object["status"]["phase"] == "Ready";
        let uid = object["metadata"]["uid"].as_str().filter(|_| is_ready);
        uid.map(str::to_owned)
            .with_context(|| format!("it is not ready: {object}"))
    };
    let before = uid().await?;
    cluster
        .kubectl
        .run(&["delete", "pmemvolume", volume, "--timeout=1m"])
        .await?;
    until("the PmemVolume is made anew", HANG_LIMIT, async || match uid().await {
        Ok(now) if now != before => Probe::Ready(()),
        Ok(_) => Probe::NotYet(anyhow!("it is the one that was deleted")),
        Err(error) => Probe::NotYet(error),
    })
    .await
}

/// As docs/troubleshooting.md has it: claim, PersistentVolume and object are gone, and the data is there.
pub(super) async fn a_volume_that_nobody_names_can_be_used_or_erased(cluster: &mut TestCluster) -> Result<()> {
    let claims = [Claim::new("lost", "40Mi", "daxfit-ext4")];
    cluster.start("loser", &claims).await?;
    let written = write_files(cluster, "loser", &claims).await?;
    let volume = volume_of(&cluster.kubectl, "lost").await?;
    forget(cluster, "loser", "lost", &volume).await?;
    let node = cluster.node()?;
    workload::event(&cluster.kubectl, &node, &["no PersistentVolume names", &volume]).await?;

    cluster
        .kubectl
        .apply(&[persistent_volume("found", &volume, &node)])
        .await?;
    let found = Claim::new("lost", "40Mi", "");
    cluster.start("finder", std::slice::from_ref(&found)).await?;
    has_files(cluster, "finder", &written).await?;

    forget(cluster, "finder", "lost", "found").await?;
    let object = json!({
        "apiVersion": "daxfit.dev/v1alpha1",
        "kind": "PmemVolume",
        "metadata": {
            "name": volume,
            "annotations": { "csi.daxfit.dev/delete-volume": "called" },
            "finalizers": ["csi.daxfit.dev/erase"],
        },
        "spec": { "node": node, "required": 1, "mode": "fsdax" },
    });
    cluster.kubectl.apply(&[object]).await?;
    cluster
        .kubectl
        .run(&["delete", "pmemvolume", &volume, "--timeout=1m"])
        .await?;
    cluster.is_as_before().await
}

/// Deletes a pod, its claim and the `PersistentVolume`, which keeps the volume, and the object too.
async fn forget(cluster: &TestCluster, pod: &str, claim: &str, persistent_volume: &str) -> Result<()> {
    let retain = r#"{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}"#;
    cluster
        .kubectl
        .run(&["patch", "pv", persistent_volume, "-p", retain])
        .await?;
    for object in [
        ["pod", pod],
        ["pvc", claim],
        ["pv", persistent_volume],
        ["pmemvolume", "--all"],
    ] {
        cluster
            .kubectl
            .run(&[&["delete"], &object[..], &["--timeout=5m"]].concat())
            .await?;
    }
    Ok(())
}

/// The one in docs/troubleshooting.md.
fn persistent_volume(name: &str, volume: &str, node: &str) -> Value {
    let on_node = json!({ "key": "topology.csi.daxfit.dev/node", "operator": "In", "values": [node] });
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": { "name": name },
        "spec": {
            "capacity": { "storage": "40Mi" },
            "accessModes": ["ReadWriteOncePod"],
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": { "namespace": "default", "name": "lost" },
            "csi": {
                "driver": "csi.daxfit.dev",
                "volumeHandle": volume,
                "fsType": "ext4",
                "volumeAttributes": { "csi.daxfit.dev/mode": "fsdax" },
            },
            "nodeAffinity": { "required": { "nodeSelectorTerms": [{ "matchExpressions": [on_node] }] } },
        },
    })
}

/// The command in the event leaves a living volume alone, and lets one go whose deletion nobody can carry out.
pub(super) async fn the_advice_about_a_node_that_is_gone_works(cluster: &mut TestCluster) -> Result<()> {
    let object = |held: bool| {
        let finalizers: &[&str] = if held { &["csi.daxfit.dev/erase"] } else { &[] };
        json!({
            "apiVersion": "daxfit.dev/v1alpha1",
            "kind": "PmemVolume",
            "metadata": { "name": "stranded", "finalizers": finalizers },
            "spec": { "node": "gone", "required": 1, "mode": "fsdax" },
        })
    };
    cluster.kubectl.apply(&[object(false)]).await?;
    let advice = workload::event(&cluster.kubectl, "stranded", &["delete the volume's claim"]).await?;
    run_advice(cluster, &advice).await?;
    cluster.kubectl.run(&["get", "pmemvolume", "stranded"]).await?;

    cluster.kubectl.apply(&[object(true)]).await?;
    cluster
        .kubectl
        .run(&["delete", "pmemvolume", "stranded", "--wait=false"])
        .await?;
    let advice = workload::event(&cluster.kubectl, "stranded", &["cannot be erased"]).await?;
    run_advice(cluster, &advice).await?;
    workload::gone(&cluster.kubectl, "pmemvolume", "stranded").await
}

/// Runs the `kubectl` command of an event, as a shell would.
async fn run_advice(cluster: &TestCluster, advice: &str) -> Result<()> {
    let command = advice
        .split_once("kubectl ")
        .and_then(|(_, rest)| rest.split_once(" ("))
        .map(|(command, _)| command);
    let command = command
        .with_context(|| format!("no command in {advice:?}"))?
        .replace('\'', "");
    let words: Vec<&str> = command.split_whitespace().collect();
    cluster.kubectl.run(&words).await.map(drop)
}

/// Ten volumes: of a pod that runs, of a pod that is away, and one that is being erased each time.
pub(super) async fn removing_and_installing_changes_no_byte(cluster: &mut TestCluster) -> Result<()> {
    let used = ["used-1", "used-2", "used-3", "used-4"].map(|name| Claim::new(name, "28Mi", "daxfit-ext4"));
    let idle = ["idle-1", "idle-2", "idle-3", "idle-4"].map(|name| Claim::new(name, "28Mi", "daxfit-ext4"));
    let doomed = ["doomed-1", "doomed-2"].map(|name| Claim::new(name, "120Mi", "daxfit-ext4"));
    let on_away: Vec<Claim<'_>> = idle.iter().chain(&doomed).cloned().collect();
    cluster.start("used", &used).await?;
    cluster.start("away", &on_away).await?;
    let mut written = write_files(cluster, "used", &used).await?;
    let files_of_idle = write_files(cluster, "away", &on_away).await?;
    cluster.kubectl.run(&["delete", "pod", "away", "--wait=true"]).await?;

    for (removal, doomed) in [Removal::Programs, Removal::KindsAndPrograms].into_iter().zip(&doomed) {
        let volumes = volumes_without(cluster, doomed.name).await?;
        remove_while_erasing(cluster, removal, doomed.name).await?;
        for volume in &volumes {
            cluster
                .namespace(volume)
                .await
                .with_context(|| format!("after {removal:?}"))?;
        }
        cluster.started()?.install().await?;
        are_ready(cluster, &volumes).await?;
        has_files(cluster, "used", &written).await?;
    }

    cluster.start("back", &idle).await?;
    written = files_of_idle
        .into_iter()
        .filter(|(claim, _)| claim.starts_with("idle"))
        .collect();
    has_files(cluster, "back", &written).await?;
    cluster.stop("back", &idle).await?;
    cluster.stop("used", &used).await
}

/// The volumes of all claims but one.
async fn volumes_without(cluster: &TestCluster, doomed: &str) -> Result<Vec<String>> {
    let claims = cluster.kubectl.items(&["pvc"]).await?;
    let others = claims.iter().filter(|claim| claim["metadata"]["name"] != doomed);
    let volumes = others.filter_map(|claim| claim["spec"]["volumeName"].as_str());
    Ok(volumes.map(str::to_owned).collect())
}

/// Removes Daxfit as soon as the device of a deleted volume says that it is to be erased: its object is gone then.
async fn remove_while_erasing(cluster: &mut TestCluster, removal: Removal, doomed: &str) -> Result<()> {
    let volume = volume_of(&cluster.kubectl, doomed).await?;
    cluster.kubectl.run(&["delete", "pvc", doomed, "--wait=false"]).await?;
    workload::gone(&cluster.kubectl, "pmemvolume", &volume).await?;
    cluster.started()?.remove(removal).await
}

/// Waits until the objects of these volumes are there and ready, and no others.
async fn are_ready(cluster: &TestCluster, volumes: &[String]) -> Result<()> {
    until("the volumes are there again", HANG_LIMIT, async || {
        let objects = match cluster.kubectl.items(&["pmemvolumes"]).await {
            Ok(objects) => objects,
            Err(error) => return Probe::NotYet(error),
        };
        let ready = objects.iter().filter(|object| object["status"]["phase"] == "Ready");
        let mut names: Vec<&str> = ready.filter_map(|object| object["metadata"]["name"].as_str()).collect();
        let mut expected: Vec<&str> = volumes.iter().map(String::as_str).collect();
        names.sort_unstable();
        expected.sort_unstable();
        if names == expected && objects.len() == volumes.len() {
            Probe::Ready(())
        } else {
            Probe::NotYet(anyhow!(
                "{} of {} objects are ready: {names:?}",
                names.len(),
                volumes.len()
            ))
        }
    })
    .await
}

/// Fills a file on each claim of a pod with bytes of its own. Returns their checksums.
async fn write_files(cluster: &TestCluster, pod: &str, claims: &[Claim<'_>]) -> Result<Checksums> {
    for claim in claims {
        let write = format!(
            "dd if=/dev/urandom of=/pmem/{}/f bs=1M count=8 conv=fsync 2>/dev/null",
            claim.name
        );
        cluster.in_pod(pod, &write).await?;
    }
    let names: Vec<&str> = claims.iter().map(|claim| claim.name).collect();
    checksums(cluster, pod, &names).await
}

/// Reads the files that a pod finds; it is an error if one has changed.
async fn has_files(cluster: &TestCluster, pod: &str, written: &Checksums) -> Result<()> {
    let names: Vec<&str> = written.keys().map(String::as_str).collect();
    let read = checksums(cluster, pod, &names).await?;
    ensure!(read == *written, "pod {pod} reads {read:#?}, written was {written:#?}");
    Ok(())
}

async fn checksums(cluster: &TestCluster, pod: &str, claims: &[&str]) -> Result<Checksums> {
    let mut checksums = Checksums::new();
    for claim in claims {
        let printed = cluster.in_pod(pod, &format!("sha256sum < /pmem/{claim}/f")).await?;
        checksums.insert((*claim).to_owned(), printed);
    }
    Ok(checksums)
}
