//! The extender's index and ledger. It writes nothing, so that there is no state between two of its writes.

use anyhow::{Result, anyhow};
use serde_json::json;

use super::{WITH_POD, all_is_erased, behind_proxy, claim, delete_claim, is_made_once, restart_in};
use crate::harness::cluster::part::Part;
use crate::harness::test_cluster::TestCluster;
use crate::harness::wait::{HANG_LIMIT, until};
use crate::harness::workload::{self, Claim};

/// What tells it that space is taken.
const KINDS: [&str; 4] = [
    "pmemnodes",
    "pmemvolumes",
    "persistentvolumeclaims",
    "persistentvolumes",
];

const FIRST: [Claim; 2] = [
    Claim::new("first-0", "30Mi", "daxfit-ext4"),
    Claim::new("first-1", "30Mi", "daxfit-ext4"),
];
/// It never fits, so that its pod waits and can be asked about.
const ASKED: [Claim; 1] = [Claim::new("asked", "900Mi", "daxfit-ext4")];
/// Each fits beside one of 300 MiB, and both do not.
const LATE: [Claim; 2] = [
    Claim::new("late-0", "150Mi", WITH_POD),
    Claim::new("late-1", "150Mi", WITH_POD),
];

/// Unobserved state: a pod and its claims came and went, and no event told of them, or of their volumes.
pub(in crate::scenarios) async fn space_of_claims_that_went_unseen_is_free(cluster: &mut TestCluster) -> Result<()> {
    behind_proxy(cluster, async |cluster, seen| {
        for kind in KINDS {
            seen.extender.freeze(kind);
        }
        cluster.start("first", &FIRST).await?;
        cluster.stop("first", &FIRST).await?;
        all_is_erased(cluster).await?;
        for kind in KINDS {
            seen.extender.lose(kind);
        }
        cluster.submit("asked", &ASKED).await?;
        until("nothing is reserved", HANG_LIMIT, async || {
            nothing_is_reserved(cluster).await.into()
        })
        .await?;
        cluster.stop("asked", &ASKED).await
    })
    .await
}

async fn nothing_is_reserved(cluster: &mut TestCluster) -> Result<()> {
    let name = cluster.node()?;
    let why = cluster.started()?.explain("asked").await?;
    let mut nodes = why["nodes"].as_array().into_iter().flatten();
    let node = nodes.find(|node| node["node"] == *name);
    let is_free = node.is_some_and(|node| node["reserved"] == json!([]) && node["pending"] == json!([]));
    is_free.then_some(()).ok_or_else(|| anyhow!("{why}"))
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
    let about = |event: &serde_json::Value| {
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
