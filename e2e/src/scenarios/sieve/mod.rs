//! Sieve's three patterns for each of our reconcilers, behind a proxy between our programs and the API server.
//!
//! - intermediate state: a program dies between two of its writes, or between a write and its answer;
//! - unobserved state: what happened is in no event, only in the next list;
//! - stale state: a program starts with lists of the past.
//!
//! Whatever happened: in the end all that was asked for is there, once, with its data, and nothing else is. Reconcilers and
//! patterns are listed in docs/proxy-scenarios.md.

mod capacity;
mod driver;
mod extender;
mod kept;
mod truth;
mod volumes;

pub(super) use capacity::{
    capacity_becomes_true_after_a_start_in_the_past, capacity_follows_changes_that_no_event_told,
    capacity_is_true_wherever_the_operator_dies,
};
pub(super) use driver::{
    a_volume_is_made_and_erased_once_wherever_its_driver_dies, a_volume_that_was_replaced_unseen_keeps_its_data,
    a_volume_whose_object_vanished_while_it_was_made_is_taken_up, no_namespace_is_made_for_a_volume_of_the_past,
};
pub(super) use extender::{an_extender_in_the_past_gives_no_byte_twice, space_of_claims_that_went_unseen_is_free};
pub(super) use kept::{
    a_volume_that_was_erased_is_not_made_anew_by_an_operator_in_the_past,
    a_volume_without_object_is_erased_by_an_operator_in_the_past, an_object_that_vanished_is_made_anew_once,
};
pub(super) use volumes::{
    a_volume_that_became_ready_unseen_is_handed_out, an_operator_in_the_past_gives_no_byte_twice,
    one_volume_is_made_and_erased_wherever_the_operator_dies,
};

use std::sync::Arc;

use anyhow::{Result, anyhow, ensure};
use serde_json::Value;

use crate::harness::api_proxy::{Caller, Past};
use crate::harness::cluster::part::Part;
use crate::harness::test_cluster::TestCluster;
use crate::harness::wait::{HANG_LIMIT, Probe, until};
use crate::harness::workload::{self, Claim, volume_of};

/// A class whose claims are bound at once: no pod is needed to have a volume made. It is for one NUMA node only, so that one
/// region is soon full.
const AT_ONCE: &str = "at-once";
/// The same, for claims that wait for a pod.
const WITH_POD: &str = "with-pod";

/// What our programs see of the API server.
struct Seen {
    operator: Arc<Caller>,
    extender: Arc<Caller>,
    driver: Arc<Caller>,
}

/// Runs a scenario with our programs behind the proxy. Whatever comes of it, they see everything as it is afterwards.
async fn behind_proxy<F>(cluster: &mut TestCluster, scenario: F) -> Result<()>
where
    F: AsyncFnOnce(&mut TestCluster, &Seen) -> Result<()>,
{
    let started = cluster.started()?;
    started.put_behind_proxy().await?;
    let seen = Seen {
        operator: started.proxy().caller(Part::Operator)?,
        extender: started.proxy().caller(Part::Extender)?,
        driver: started.proxy().caller(Part::NodeDriver)?,
    };
    let classes = [(AT_ONCE, "Immediate"), (WITH_POD, "WaitForFirstConsumer")];
    let classes = classes.map(|(name, binding)| workload::class(name, "0", binding));
    cluster.kubectl.apply(&classes).await?;
    truth::capacity_is_true(cluster).await?;
    let outcome = scenario(cluster, &seen).await;
    for caller in [&seen.operator, &seen.extender, &seen.driver] {
        caller.catch_up();
    }
    outcome?;
    cluster
        .kubectl
        .run(&["delete", "storageclass", AT_ONCE, WITH_POD])
        .await
        .map(drop)
}

/// Kills a program, which starts again with lists of the past, and waits until it has read one of `kind` and watches from there.
async fn restart_in(cluster: &mut TestCluster, part: Part, lists: &Past, kind: &str) -> Result<()> {
    let started = cluster.started()?;
    let caller = started.proxy().caller(part)?;
    caller.live_in(lists);
    let mark = caller.mark();
    started.kill(part).await?;
    let what = format!("{} watches {kind} from the past on", part.name());
    caller.watches(mark, &what, kind).await
}

/// Makes a claim that is bound at once.
async fn claim(cluster: &TestCluster, name: &str, size: &str) -> Result<()> {
    cluster.kubectl.apply(&[Claim::new(name, size, AT_ONCE).object()]).await
}

/// Waits until the claim is bound, and returns its volume, whose namespace is there once.
async fn is_made_once(cluster: &TestCluster, claim: &str) -> Result<String> {
    workload::bound(&cluster.kubectl, claim).await?;
    let volume = volume_of(&cluster.kubectl, claim).await?;
    cluster.namespace(&volume).await?;
    Ok(volume)
}

async fn delete_claim(cluster: &TestCluster, claim: &str) -> Result<()> {
    cluster
        .kubectl
        .run(&["delete", "pvc", claim, "--wait=false"])
        .await
        .map(drop)
}

/// Waits until no volume is left: no object, nothing on the device, nothing in what the node reports.
async fn all_is_erased(cluster: &TestCluster) -> Result<()> {
    workload::none_left(&cluster.kubectl, &["persistentvolumes"]).await?;
    workload::none_left(&cluster.kubectl, &["pmemvolumes"]).await?;
    until("no namespace is left", HANG_LIMIT, async || {
        match cluster.namespaces().await {
            Ok(left) if left.is_empty() => Probe::Ready(()),
            Ok(left) => Probe::NotYet(anyhow!("still there: {left:?}")),
            Err(error) => Probe::NotYet(error),
        }
    })
    .await
}

/// Waits until an object `is_so`, and returns it.
async fn object(cluster: &TestCluster, what: &str, object: [&str; 2], is_so: impl Fn(&Value) -> bool) -> Result<Value> {
    until(what, HANG_LIMIT, async || {
        match cluster.kubectl.json(&[&["get"], &object[..]].concat()).await {
            Ok(found) if is_so(&found) => Probe::Ready(found),
            Ok(found) => Probe::NotYet(anyhow!("{found}")),
            Err(error) => Probe::NotYet(error),
        }
    })
    .await
}

/// Waits until the `PmemVolumes` that there are `are_so`.
async fn volumes_become(cluster: &TestCluster, what: &str, are_so: impl Fn(&[Value]) -> bool) -> Result<()> {
    until(what, HANG_LIMIT, async || {
        match cluster.kubectl.items(&["pmemvolumes"]).await {
            Ok(volumes) if are_so(&volumes) => Probe::Ready(()),
            Ok(volumes) => Probe::NotYet(anyhow!("{volumes:?}")),
            Err(error) => Probe::NotYet(error),
        }
    })
    .await
}

/// The claim of a pod with a file in it.
const WITNESS: [Claim; 1] = [Claim::new("witness", "40Mi", "daxfit-ext4")];

/// Starts a pod that writes a file, and returns its volume.
async fn start_witness(cluster: &TestCluster) -> Result<String> {
    cluster.start("witness", &WITNESS).await?;
    cluster.in_pod("witness", "echo seen > /pmem/witness/f && sync").await?;
    volume_of(&cluster.kubectl, "witness").await
}

/// The pod reads its file.
async fn has_its_file(cluster: &TestCluster) -> Result<()> {
    let read = cluster.in_pod("witness", "cat /pmem/witness/f").await?;
    ensure!(read.trim() == "seen", "read {read:?}");
    Ok(())
}

/// Waits until the PmemVolume is there and ready.
async fn is_ready(cluster: &TestCluster, volume: &str) -> Result<Value> {
    let what = format!("volume {volume} is ready");
    let is_ready = |found: &Value| found["status"]["phase"] == "Ready";
    object(cluster, &what, ["pmemvolume", volume], is_ready).await
}

/// Deletes a PmemVolume as anybody can.
async fn delete_object(cluster: &TestCluster, volume: &str) -> Result<()> {
    cluster
        .kubectl
        .run(&["delete", "pmemvolume", volume, "--timeout=5m"])
        .await
        .map(drop)
}
