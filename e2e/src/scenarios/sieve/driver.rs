//! The node driver: volumes, what is left over of them, and the report.

use anyhow::{Result, ensure};
use http::StatusCode;
use serde_json::{Value, json};

use super::truth::capacity_is_true;
use super::{
    WITNESS, all_is_erased, behind_proxy, claim, delete_claim, delete_object, has_its_file, is_made_once, is_ready,
    object, restart_in, start_witness,
};
use crate::harness::api_proxy::{Asked, HeldWrite, Verb, When};
use crate::harness::cluster::part::Part;
use crate::harness::test_cluster::TestCluster;

const VOLUMES: &str = "pmemvolumes";
const STATUS: &str = "pmemvolumes/status";

/// Intermediate state: when it is recorded that a volume is being made, before it is recorded that it is ready, before the node
/// reports it; then before its object is let go, and when it has gone and nothing is erased yet.
pub(in crate::scenarios) async fn a_volume_is_made_and_erased_once_wherever_its_driver_dies(
    cluster: &mut TestCluster,
) -> Result<()> {
    behind_proxy(cluster, async |cluster, seen| {
        let hold = |when, kind: &'static str| {
            let is_it = move |asked: &Asked| asked.is(Verb::Change, kind);
            seen.driver.hold_write(kind, when, is_it)
        };
        for (round, released) in [When::Before, When::After, When::After].into_iter().enumerate() {
            let mut first = hold(When::After, STATUS);
            claim(cluster, "once", "60Mi").await?;
            first.reached().await?;
            let write = match round {
                0 => first,
                1 => follows(first, hold(When::Before, STATUS)).await?,
                _ => follows(first, hold(When::Before, "pmemnodes/status")).await?,
            };
            die_at(cluster, write).await?;
            is_made_once(cluster, "once").await?;
            let all = cluster.namespaces().await?;
            ensure!(all.len() == 1, "round {round}: more than one namespace: {all:?}");

            let mut write = hold(released, VOLUMES);
            delete_claim(cluster, "once").await?;
            write.reached().await?;
            die_at(cluster, write).await?;
            all_is_erased(cluster).await?;
        }
        capacity_is_true(cluster).await
    })
    .await
}

/// Lets a write go on, and waits for the next one that is held.
async fn follows(first: HeldWrite, mut second: HeldWrite) -> Result<HeldWrite> {
    drop(first);
    second.reached().await?;
    Ok(second)
}

async fn die_at(cluster: &mut TestCluster, write: HeldWrite) -> Result<()> {
    cluster.started()?.kill(Part::NodeDriver).await?;
    drop(write);
    Ok(())
}

/// Unobserved state: an object came and went; that of a volume in use was replaced by another of its name. No event tells of
/// either.
pub(in crate::scenarios) async fn a_volume_that_was_replaced_unseen_keeps_its_data(
    cluster: &mut TestCluster,
) -> Result<()> {
    behind_proxy(cluster, async |cluster, seen| {
        let volume = start_witness(cluster).await?;
        seen.driver.drop_events(VOLUMES);
        cluster.kubectl.apply(&[by_hand(cluster, "unseen")?]).await?;
        delete_object(cluster, "unseen").await?;
        seen.driver.freeze(VOLUMES);
        delete_object(cluster, &volume).await?;
        cluster.kubectl.apply(&[by_hand(cluster, &volume)?]).await?;
        seen.driver.lose(VOLUMES);
        is_ready(cluster, &volume).await?;
        let all = cluster.namespaces().await?;
        ensure!(all.len() == 1, "more than one namespace: {all:?}");
        has_its_file(cluster).await?;
        cluster.stop("witness", &WITNESS).await?;
        all_is_erased(cluster).await
    })
    .await
}

fn by_hand(cluster: &TestCluster, name: &str) -> Result<Value> {
    Ok(json!({
        "apiVersion": "daxfit.dev/v1alpha1",
        "kind": "PmemVolume",
        "metadata": { "name": name },
        "spec": { "node": cluster.node()?, "required": 1, "mode": "fsdax" },
    }))
}

/// Unobserved state: its object is deleted when the namespace is there and nobody knows. The claim gets it, and no second one.
pub(in crate::scenarios) async fn a_volume_whose_object_vanished_while_it_was_made_is_taken_up(
    cluster: &mut TestCluster,
) -> Result<()> {
    behind_proxy(cluster, async |cluster, seen| {
        let is_it = |asked: &Asked| asked.is(Verb::Change, STATUS);
        let mut first = seen.driver.hold_write("it is being made", When::After, is_it);
        claim(cluster, "vanishing", "30Mi").await?;
        first.reached().await?;
        let second = seen.driver.hold_write("it is ready", When::Before, is_it);
        let second = follows(first, second).await?;
        seen.driver.freeze(VOLUMES);
        cluster
            .kubectl
            .run(&["delete", "pmemvolume", "--all", "--timeout=5m"])
            .await?;
        drop(second);
        seen.driver.lose(VOLUMES);
        is_made_once(cluster, "vanishing").await?;
        let all = cluster.namespaces().await?;
        ensure!(all.len() == 1, "more than one namespace: {all:?}");
        delete_claim(cluster, "vanishing").await?;
        all_is_erased(cluster).await
    })
    .await
}

/// Stale state: the volume was being made in that past. It has been erased since. Nor does the layout revision go back.
pub(in crate::scenarios) async fn no_namespace_is_made_for_a_volume_of_the_past(
    cluster: &mut TestCluster,
) -> Result<()> {
    behind_proxy(cluster, async |cluster, seen| {
        let is_it = |asked: &Asked| asked.is(Verb::Change, STATUS);
        let mut first = seen.driver.hold_write("it is being made", When::After, is_it);
        claim(cluster, "past", "30Mi").await?;
        first.reached().await?;
        let past = seen.driver.record().await?;
        drop(first);
        is_made_once(cluster, "past").await?;
        delete_claim(cluster, "past").await?;
        all_is_erased(cluster).await?;
        capacity_is_true(cluster).await?;
        let before = revision(cluster).await?;

        let mark = seen.driver.mark();
        restart_in(cluster, Part::NodeDriver, &past, VOLUMES).await?;
        let is_gone =
            |asked: &Asked, status: StatusCode| asked.is(Verb::Get, VOLUMES) && status == StatusCode::NOT_FOUND;
        seen.driver
            .answered(mark, "the driver learns that the volume of the past is gone", is_gone)
            .await?;
        seen.driver.catch_up();
        all_is_erased(cluster).await?;
        capacity_is_true(cluster).await?;
        let after = revision(cluster).await?;
        ensure!(
            after >= before,
            "the layout revision went back from {before} to {after}"
        );
        Ok(())
    })
    .await
}

async fn revision(cluster: &TestCluster) -> Result<i64> {
    let name = cluster.node()?;
    let has_one = |node: &Value| node["status"]["layoutRevision"].is_i64();
    let node = object(cluster, "the node reports", ["pmemnode", &name], has_one).await?;
    Ok(node["status"]["layoutRevision"].as_i64().unwrap_or_default())
}
