//! The operator's writer of capacity objects.

use anyhow::{Context, Result};

use super::truth::capacity_is_true;
use super::{all_is_erased, behind_proxy, claim, delete_claim, is_made_once, restart_in};
use crate::harness::api_proxy::{Asked, Verb, When};
use crate::harness::capacity::{becomes, published};
use crate::harness::cluster::part::Part;
use crate::harness::test_cluster::TestCluster;

const CAPACITY: &str = "csistoragecapacities";

/// Intermediate state: before one of several objects is written, and when one is and it does not know.
pub(in crate::scenarios) async fn capacity_is_true_wherever_the_operator_dies(cluster: &mut TestCluster) -> Result<()> {
    behind_proxy(cluster, async |cluster, seen| {
        for when in [When::Before, When::After] {
            let is_it = |asked: &Asked| asked.is(Verb::Change, CAPACITY);
            let mut write = seen.operator.hold_write("a write of capacity", when, is_it);
            claim(cluster, "half", "60Mi").await?;
            write.reached().await?;
            cluster.started()?.kill(Part::Operator).await?;
            drop(write);
            is_made_once(cluster, "half").await?;
            capacity_is_true(cluster).await?;
            delete_claim(cluster, "half").await?;
            all_is_erased(cluster).await?;
        }
        capacity_is_true(cluster).await
    })
    .await
}

/// Unobserved state: what a node reported, and an object that somebody deleted.
pub(in crate::scenarios) async fn capacity_follows_changes_that_no_event_told(cluster: &mut TestCluster) -> Result<()> {
    behind_proxy(cluster, async |cluster, seen| {
        seen.operator.freeze("pmemnodes");
        seen.operator.freeze(CAPACITY);
        claim(cluster, "unseen", "60Mi").await?;
        is_made_once(cluster, "unseen").await?;
        delete_one_capacity_object(cluster).await?;
        seen.operator.lose("pmemnodes");
        seen.operator.lose(CAPACITY);
        capacity_is_true(cluster).await?;
        delete_claim(cluster, "unseen").await?;
        all_is_erased(cluster).await?;
        capacity_is_true(cluster).await
    })
    .await
}

async fn delete_one_capacity_object(cluster: &TestCluster) -> Result<()> {
    let objects = cluster.kubectl.items(&[CAPACITY, "-A"]).await?;
    let first = objects.first().context("no capacity is published")?;
    let text = |field: &str| first["metadata"][field].as_str().unwrap_or_default();
    let line = ["delete", CAPACITY, "-n", text("namespace"), text("name")];
    cluster.kubectl.run(&line).await.map(drop)
}

/// Stale state: it takes a volume for present that is gone, and writes what that leaves.
pub(in crate::scenarios) async fn capacity_becomes_true_after_a_start_in_the_past(
    cluster: &mut TestCluster,
) -> Result<()> {
    behind_proxy(cluster, async |cluster, seen| {
        let before = published(&cluster.kubectl).await?;
        claim(cluster, "past", "60Mi").await?;
        is_made_once(cluster, "past").await?;
        capacity_is_true(cluster).await?;
        let past = seen.operator.record().await?.without(CAPACITY);
        delete_claim(cluster, "past").await?;
        all_is_erased(cluster).await?;
        // The node may report that it is free later than that nothing is being erased any more.
        becomes(&cluster.kubectl, "capacity is back", |now| *now == before).await?;
        let mark = seen.operator.mark();
        restart_in(cluster, Part::Operator, &past, "pmemnodes").await?;
        let is_written = |asked: &Asked, _| asked.is(Verb::Change, CAPACITY);
        seen.operator
            .answered(mark, "capacity of the past is written", is_written)
            .await?;
        seen.operator.catch_up();
        let back = becomes(&cluster.kubectl, "capacity is back again", |now| *now == before).await;
        back.map(drop)
    })
    .await
}
