//! The extender's index and ledger. No state of it is between two of its writes: an event, and the one object that wakes who waits.

use anyhow::{Result, anyhow};
use serde_json::{Value, json};

use super::{WITH_POD, all_is_erased, behind_proxy, claim, delete_claim, is_made_once, restart_in};
use crate::harness::api_proxy::{Asked, Verb, When};
use crate::harness::cluster::part::Part;
use crate::harness::test_cluster::TestCluster;
use crate::harness::wait::{HANG_LIMIT, Probe, until};
use crate::harness::workload::{self, Claim};

/// What tells it that space is taken.
const KINDS: [&str; 4] = [
    "pmemnodes",
    "pmemvolumes",
    "persistentvolumeclaims",
    "persistentvolumes",
];

const FIRST: [Claim; 1] = [Claim::new("first", "30Mi", "daxfit-ext4")];
/// It never fits, so that its pod waits and can be asked about.
const ASKED: [Claim; 1] = [Claim::new("asked", "900Mi", "daxfit-ext4")];
/// Each fits beside one of 300 MiB, and both do not.
const LATE: [Claim; 2] = [
    Claim::new("late-0", "150Mi", WITH_POD),
    Claim::new("late-1", "150Mi", WITH_POD),
];

/// Unobserved state: space is reserved for a claim that was given a node. No event tells that it got its volume, and that both
/// went.
pub(in crate::scenarios) async fn space_of_claims_that_went_unseen_is_free(cluster: &mut TestCluster) -> Result<()> {
    behind_proxy(cluster, async |cluster, seen| {
        let is_it = |asked: &Asked| asked.is(Verb::Create, "pmemvolumes");
        let mut write = seen.operator.hold_write("the volume is written", When::Before, is_it);
        cluster.submit("first", &FIRST).await?;
        write.reached().await?;
        let is_assigned = |reserved: &Value| reserved[0]["state"] == "assigned";
        reserved_becomes(cluster, "first", "the claim has its node", is_assigned).await?;
        for kind in KINDS {
            seen.extender.freeze(kind);
        }
        drop(write);
        workload::running(&cluster.kubectl, "first").await?;
        cluster.stop("first", &FIRST).await?;
        all_is_erased(cluster).await?;
        for kind in KINDS {
            seen.extender.lose(kind);
        }
        cluster.submit("asked", &ASKED).await?;
        let is_nothing = |reserved: &Value| *reserved == json!([]);
        reserved_becomes(cluster, "asked", "nothing is reserved or pending", is_nothing).await?;
        cluster.stop("asked", &ASKED).await
    })
    .await
}

/// Waits until what the extender has reserved on the node, as it says about a pod, `is_so`, and nothing is pending.
async fn reserved_becomes(
    cluster: &mut TestCluster,
    pod: &str,
    what: &str,
    is_so: impl Fn(&Value) -> bool,
) -> Result<()> {
    let name = cluster.node()?;
    let started = cluster.started()?;
    until(what, HANG_LIMIT, async || {
        let why = match started.explain(pod).await {
            Ok(why) => why,
            Err(error) => return Probe::NotYet(error),
        };
        let mut nodes = why["nodes"].as_array().into_iter().flatten();
        match nodes.find(|node| node["node"] == *name) {
            Some(node) if is_so(&node["reserved"]) && node["pending"] == json!([]) => Probe::Ready(()),
            _ => Probe::NotYet(anyhow!("{why}")),
        }
    })
    .await
}

/// Stale state: it takes the node for empty and lets a pod through that does not fit. CreateVolume does not, and the pod runs
/// once there is room.
pub(in crate::scenarios) async fn an_extender_in_the_past_gives_no_byte_twice(cluster: &mut TestCluster) -> Result<()> {
    behind_proxy(cluster, async |cluster, seen| {
        let past = seen.extender.record().await?;
        claim(cluster, "large", "300Mi").await?;
        is_made_once(cluster, "large").await?;
        restart_in(cluster, Part::Extender, &past, "pmemvolumes").await?;
        cluster.submit("late", &LATE).await?;
        until("a claim is refused", HANG_LIMIT, async || {
            a_claim_is_refused(cluster).await.into()
        })
        .await?;
        seen.extender.catch_up();
        delete_claim(cluster, "large").await?;
        workload::running(&cluster.kubectl, "late").await?;
        cluster.stop("late", &LATE).await?;
        all_is_erased(cluster).await
    })
    .await
}

async fn a_claim_is_refused(cluster: &TestCluster) -> Result<()> {
    let events = cluster
        .kubectl
        .items(&["events", "--field-selector", "reason=ProvisioningFailed"])
        .await?;
    let about = |event: &Value| {
        let name = event["involvedObject"]["name"].as_str().unwrap_or_default();
        let message = event["message"].as_str().unwrap_or_default();
        name.starts_with("late-") && message.contains("asked 150 MiB")
    };
    events
        .iter()
        .any(about)
        .then_some(())
        .ok_or_else(|| anyhow!("{events:?}"))
}
