//! What once kept a pod waiting for ever.

use anyhow::{Result, anyhow, ensure};
use serde_json::json;

use crate::harness::capacity;
use crate::harness::kubectl::SYSTEM_NAMESPACE;
use crate::harness::test_cluster::TestCluster;
use crate::harness::wait::{HANG_LIMIT, Probe, until};
use crate::harness::workload::{self, Claim, gone};

/// A pod comes back to a volume on which not even an inode is left, and of which a container with the host's directories has
/// kept a mount.
pub(super) async fn a_full_volume_with_a_kept_mount_comes_back(cluster: &mut TestCluster) -> Result<()> {
    let claims = [Claim::new("full", "14Mi", "daxfit-ext4")];
    cluster.start("writer", &claims).await?;
    // Not with `:`, which ends a shell of POSIX when it cannot be redirected.
    let fill = "cd /pmem/full; n=0; while true 2>/dev/null >$n; do n=$((n + 1)); done; ! true 2>/dev/null >more";
    cluster.in_pod("writer", fill).await?;
    cluster.kubectl.apply(&[keeper(cluster)?]).await?;
    workload::running(&cluster.kubectl, "keeper").await?;
    cluster.kubectl.run(&["delete", "pod", "writer", "--wait=true"]).await?;
    is_unstaged(cluster).await?;
    let again = workload::pod("writer", cluster.image(), &claims);
    cluster.kubectl.apply(&[again]).await?;
    workload::running(&cluster.kubectl, "writer").await?;
    let free = "rm /pmem/full/0 && echo room >/pmem/full/0 && grep ' /pmem/full ' /proc/mounts | grep dax=always";
    cluster.in_pod("writer", free).await?;
    cluster.kubectl.run(&["delete", "pod", "keeper", "--wait=true"]).await?;
    gone(&cluster.kubectl, "pod", "keeper").await?;
    cluster.stop("writer", &claims).await
}

/// The driver is removed from the only node that has it, whose topology label stays. No capacity is left, so nothing is promised
/// there; a pod that comes then runs once the driver is back.
pub(super) async fn a_node_without_a_driver_is_given_no_claim(cluster: &mut TestCluster) -> Result<()> {
    let (kubectl, node) = (&cluster.kubectl, cluster.node()?);
    let without = format!("{PMEM_LABEL}-");
    kubectl.run(&["label", "node", &node, &without]).await?;
    capacity::becomes(kubectl, "no capacity without a driver", |now| {
        now.keys().all(|(of, ..)| *of != node)
    })
    .await?;
    let claims = [Claim::new("early", "40Mi", "daxfit-ext4")];
    cluster.submit("early", &claims).await?;
    workload::event(kubectl, "early", &["nodes are available"]).await?;
    let claim = kubectl.json(&["get", "pvc", "early"]).await?;
    let selected = &claim["metadata"]["annotations"]["volume.kubernetes.io/selected-node"];
    ensure!(selected.is_null(), "it waits for {selected}");
    kubectl
        .run(&["label", "node", &node, &format!("{PMEM_LABEL}=true")])
        .await?;
    workload::running(kubectl, "early").await?;
    cluster.stop("early", &claims).await
}

/// What a node is labelled with to run the driver.
const PMEM_LABEL: &str = "daxfit.dev.node-restriction.kubernetes.io/pmem";

/// Room appears that no event of Kubernetes tells of: beside the largest hole of a region, a smaller one comes back that was
/// somebody else's. The pod that fits with it runs, after one write; while nobody waits, there is none.
pub(super) async fn room_that_no_capacity_shows_wakes_a_pod(cluster: &mut TestCluster) -> Result<()> {
    let before = wakes(cluster).await?;
    cluster.on_node(TWO_STRANGERS).await?;
    let claims = [
        Claim::new("whole", "450Mi", "daxfit-ext4"),
        Claim::new("large", "150Mi", "daxfit-ext4"),
        Claim::new("small", "100Mi", "daxfit-ext4"),
    ];
    cluster.submit("patient", &claims).await?;
    workload::event(
        &cluster.kubectl,
        "patient",
        &["nodes are available", "asked 150 MiB + 100 MiB + 450 MiB"],
    )
    .await?;
    ensure!(wakes(cluster).await? == before, "woken for nothing");
    cluster.on_node(&destroy("first")).await?;
    workload::running(&cluster.kubectl, "patient").await?;
    ensure!(
        wakes(cluster).await? == before + 1,
        "woken {} times",
        wakes(cluster).await? - before
    );
    cluster.stop("patient", &claims).await?;
    cluster.on_node(&destroy("second")).await?;
    cluster.is_as_before().await?;
    ensure!(wakes(cluster).await? == before + 1, "woken while nobody waits");
    Ok(())
}

/// The node is full, and one of its volumes was retained: whoever claims that runs there, finds what is on it, and holds nothing else.
pub(super) async fn a_full_node_has_a_volume_that_was_retained(cluster: &mut TestCluster) -> Result<()> {
    let filler = [Claim::new("filler", "450Mi", "daxfit-ext4")];
    let first = [Claim::new("first", "450Mi", "daxfit-ext4")];
    let second = [Claim::new("second", "430Mi", "daxfit-ext4")];
    cluster.start("filler", &filler).await?;
    cluster.start("first", &first).await?;
    cluster
        .in_pod("first", "echo heirloom >/pmem/first/word && sync")
        .await?;
    let volume = workload::volume_of(&cluster.kubectl, "first").await?;
    set_reclaim_policy(cluster, &volume, "Retain").await?;
    cluster.stop("first", &first).await?;

    // As long as nobody says that it may be claimed, there is nothing.
    cluster.submit("second", &second).await?;
    workload::event(&cluster.kubectl, "second", &["asked 430 MiB"]).await?;
    patch(cluster, &volume, r#"{"spec":{"claimRef":null}}"#).await?;
    workload::running(&cluster.kubectl, "second").await?;
    let word = cluster.in_pod("second", "cat /pmem/second/word").await?;
    ensure!(word.trim() == "heirloom", "{word:?} is on it");
    let why = cluster.started()?.explain("second").await?;
    let reserved = why["nodes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|node| &node["reserved"]);
    ensure!(
        reserved.clone().count() > 0 && reserved.clone().all(|on| *on == json!([])),
        "{why}"
    );

    set_reclaim_policy(cluster, &volume, "Delete").await?;
    cluster.stop("second", &second).await?;
    cluster.stop("filler", &filler).await
}

/// Its class has a volume erased so slowly that the next pod has to wait for its bytes. It is told how long, and runs then.
pub(super) async fn who_waits_for_an_erasure_is_told_when_it_is_over(cluster: &mut TestCluster) -> Result<()> {
    let filler = [Claim::new("filler", "450Mi", "daxfit-ext4")];
    let first = [Claim::new("first", "450Mi", "slowly")];
    let second = [Claim::new("second", "430Mi", "daxfit-ext4")];
    let mut class = workload::class("slowly", "any", "WaitForFirstConsumer");
    class["parameters"]["csi.daxfit.dev/eraseRate"] = json!("4Mi");
    cluster.kubectl.apply(&[class]).await?;
    cluster.start("filler", &filler).await?;
    cluster.start("first", &first).await?;
    let volume = workload::volume_of(&cluster.kubectl, "first").await?;
    cluster.stop("first", &first).await?;
    cluster.submit("second", &second).await?;
    let told = [" are being erased until about ", " UTC"];
    workload::event(&cluster.kubectl, "second", &told).await?;
    let erasing = erasing(cluster, &volume).await?;
    ensure!(erasing["overAt"].is_string(), "{erasing}");
    workload::running(&cluster.kubectl, "second").await?;
    cluster.stop("second", &second).await?;
    cluster.stop("filler", &filler).await?;
    cluster
        .kubectl
        .run(&["delete", "storageclass", "slowly"])
        .await
        .map(drop)
}

/// Somebody else had bytes, and nobody asks for them. The driver makes them zero in the background, says so, and a volume that gets
/// them is ready without their being read.
pub(super) async fn free_bytes_become_zero_before_somebody_needs_them(cluster: &mut TestCluster) -> Result<()> {
    cluster.on_node(TWO_STRANGERS).await?;
    cluster.on_node(&destroy("first")).await?;
    cluster.on_node(&destroy("second")).await?;
    set_sweep_after(cluster, "1").await?;
    until("all free bytes are zero", HANG_LIMIT, async || {
        match left_to_zero(cluster).await {
            Ok(left) if left.iter().all(|left| *left == json!(0)) => Probe::Ready(()),
            Ok(left) => Probe::NotYet(anyhow!("left: {left:?}")),
            Err(error) => Probe::NotYet(error),
        }
    })
    .await?;
    let claims = [
        Claim::new("one", "450Mi", "daxfit-ext4"),
        Claim::new("other", "450Mi", "daxfit-ext4"),
    ];
    cluster.start("swept", &claims).await?;
    let driver = ["logs", "--namespace", SYSTEM_NAMESPACE, NODE_DRIVER];
    let log = cluster.kubectl.run(&driver).await?;
    for claim in &claims {
        let volume = workload::volume_of(&cluster.kubectl, claim.name).await?;
        let mut lines = log.lines().filter(|line| line.contains(&volume));
        let is_known = lines.any(|line| line.contains("is known to be zero"));
        ensure!(is_known, "the bytes of {} were read: {log}", claim.name);
    }
    cluster.stop("swept", &claims).await?;
    set_sweep_after(cluster, "0").await
}

const NODE_DRIVER: &str = "daemonset/daxfit-node-driver";

async fn set_sweep_after(cluster: &TestCluster, seconds: &str) -> Result<()> {
    let kubectl = &cluster.kubectl;
    let variable = format!("SWEEP_AFTER={seconds}");
    kubectl
        .run(&["set", "env", "--namespace", SYSTEM_NAMESPACE, NODE_DRIVER, &variable])
        .await?;
    kubectl.rolled_out(NODE_DRIVER).await
}

/// What is left to be made zero in each region that volumes can be made in.
async fn left_to_zero(cluster: &TestCluster) -> Result<Vec<serde_json::Value>> {
    let node = cluster.kubectl.json(&["get", "pmemnode", &cluster.node()?]).await?;
    let regions = node["status"]["regions"].as_array().into_iter().flatten();
    let ready = regions.filter(|region| region["state"] == "Ready");
    Ok(ready.map(|region| region["toZero"].clone()).collect())
}

/// What the PmemNode says of a volume that is being erased.
async fn erasing(cluster: &TestCluster, volume: &str) -> Result<serde_json::Value> {
    let node = cluster.kubectl.json(&["get", "pmemnode", &cluster.node()?]).await?;
    let regions = node["status"]["regions"].as_array().into_iter().flatten();
    let all = regions.flat_map(|region| region["erasing"].as_array().into_iter().flatten());
    let mut its = all.filter(|erasing| erasing["name"] == volume);
    let found = its.next().ok_or_else(|| anyhow!("{volume} is not being erased"))?;
    Ok(found.clone())
}

async fn set_reclaim_policy(cluster: &TestCluster, volume: &str, policy: &str) -> Result<()> {
    let change = json!({ "spec": { "persistentVolumeReclaimPolicy": policy } });
    patch(cluster, volume, &change.to_string()).await
}

async fn patch(cluster: &TestCluster, volume: &str, change: &str) -> Result<()> {
    cluster
        .kubectl
        .run(&["patch", "pv", volume, "-p", change])
        .await
        .map(drop)
}

/// In the second region: 128 MiB of one stranger, 192 MiB of another, and what is left. None of the holes is as large as the rest
/// once the first is gone.
const TWO_STRANGERS: &str = "region=$(ndctl list -R -d nmem1 | jq -r '[.] | flatten | .[0].dev') && \
     ndctl create-namespace -r $region -m raw -s 128M -n first && \
     ndctl create-namespace -r $region -m raw -s 192M -n second";

fn destroy(stranger: &str) -> String {
    let named = format!(".[] | select(.name == \"{stranger}\") | .dev");
    format!("ndctl list -N | jq -r '[.] | flatten | {named}' | xargs ndctl destroy-namespace -f")
}

/// How often pods were woken so far.
async fn wakes(cluster: &TestCluster) -> Result<u64> {
    let object = ["get", "csistoragecapacity", "daxfit-wake", "-n", SYSTEM_NAMESPACE];
    let object = cluster.kubectl.json(&object).await?;
    let wakes = object["metadata"]["annotations"]["csi.daxfit.dev/wakes"].as_str();
    Ok(wakes.map(str::parse).transpose()?.unwrap_or(0))
}

/// A pod that sees all of the host: without propagation, its mounts are copies that stay.
fn keeper(cluster: &TestCluster) -> Result<serde_json::Value> {
    let mut pod = workload::pod("keeper", cluster.image(), &[]);
    pod["spec"]["nodeName"] = json!(cluster.node()?);
    pod["spec"]["volumes"] = json!([{ "name": "host", "hostPath": { "path": "/" } }]);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([{ "name": "host", "mountPath": "/host" }]);
    Ok(pod)
}

/// Waits until the host has the volume mounted nowhere. The keeper has.
async fn is_unstaged(cluster: &TestCluster) -> Result<()> {
    until("the volume is unstaged", HANG_LIMIT, async || {
        match cluster
            .on_node("grep -c csi.daxfit.dev.*globalmount /proc/1/mountinfo || true")
            .await
        {
            Ok(count) if count.trim() == "0" => Probe::Ready(()),
            Ok(count) => Probe::NotYet(anyhow!("{} mounts are left", count.trim())),
            Err(error) => Probe::NotYet(error),
        }
    })
    .await
}
