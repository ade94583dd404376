//! Volumes without object: the operator's maker, and what DeleteVolume makes of them.

use anyhow::Result;
use http::StatusCode;
use serde_json::Value;

use super::truth::capacity_is_true;
use super::{
    WITNESS, all_is_erased, behind_proxy, claim, delete_claim, delete_object, has_its_file, is_made_once, is_ready,
    object, restart_in, start_witness,
};
use crate::harness::api_proxy::{Asked, Verb, When};
use crate::harness::cluster::part::Part;
use crate::harness::test_cluster::TestCluster;

const VOLUMES: &str = "pmemvolumes";

/// Intermediate state: the operator dies when the object is made anew and it does not know. Unobserved state: no event says
/// that the object is gone.
pub(in crate::scenarios) async fn an_object_that_vanished_is_made_anew_once(cluster: &mut TestCluster) -> Result<()> {
    behind_proxy(cluster, async |cluster, seen| {
        let volume = start_witness(cluster).await?;
        let is_it = |asked: &Asked| asked.is(Verb::Create, VOLUMES);
        let mut write = seen.operator.hold_write("the object is made anew", When::After, is_it);
        delete_object(cluster, &volume).await?;
        write.reached().await?;
        cluster.started()?.kill(Part::Operator).await?;
        drop(write);
        is_ready(cluster, &volume).await?;

        seen.operator.freeze(VOLUMES);
        delete_object(cluster, &volume).await?;
        is_kept(cluster, &volume).await?;
        seen.operator.lose(VOLUMES);
        is_ready(cluster, &volume).await?;
        cluster.namespace(&volume).await?;
        has_its_file(cluster).await?;
        cluster.stop("witness", &WITNESS).await?;
        all_is_erased(cluster).await
    })
    .await
}

/// Waits until the node reports that it keeps the volume, which has no object.
async fn is_kept(cluster: &TestCluster, volume: &str) -> Result<()> {
    let node = cluster.node()?;
    let is_kept = |node: &Value| {
        let regions = node["status"]["regions"].as_array().into_iter().flatten();
        let mut kept = regions.flat_map(|region| region["kept"].as_array().into_iter().flatten());
        kept.any(|kept| kept["name"] == volume)
    };
    object(cluster, "the node keeps the volume", ["pmemnode", &node], is_kept)
        .await
        .map(drop)
}

/// Stale state: the volume was kept and named in that past. It has been erased since, and nobody asks for it.
pub(in crate::scenarios) async fn a_volume_that_was_erased_is_not_made_anew_by_an_operator_in_the_past(
    cluster: &mut TestCluster,
) -> Result<()> {
    behind_proxy(cluster, async |cluster, seen| {
        claim(cluster, "past", "30Mi").await?;
        let volume = is_made_once(cluster, "past").await?;
        let is_it = |asked: &Asked| asked.is(Verb::Create, VOLUMES);
        let mut write = seen.operator.hold_write("the object is made anew", When::Before, is_it);
        delete_object(cluster, &volume).await?;
        write.reached().await?;
        let past = seen.operator.record().await?;
        drop(write);
        is_ready(cluster, &volume).await?;
        delete_claim(cluster, "past").await?;
        all_is_erased(cluster).await?;

        let mark = seen.operator.mark();
        restart_in(cluster, Part::Operator, &past, "persistentvolumes").await?;
        let looks = |asked: &Asked, _| asked.is(Verb::Create, VOLUMES) || asked.is(Verb::Get, "persistentvolumes");
        seen.operator.answered(mark, "the maker goes to work", looks).await?;
        seen.operator.catch_up();
        all_is_erased(cluster).await?;
        capacity_is_true(cluster).await
    })
    .await
}

/// Stale state: in that past there was no such volume. That it has no object either does not mean that it is erased.
pub(in crate::scenarios) async fn a_volume_without_object_is_erased_by_an_operator_in_the_past(
    cluster: &mut TestCluster,
) -> Result<()> {
    behind_proxy(cluster, async |cluster, seen| {
        let past = seen.operator.record().await?;
        claim(cluster, "late", "30Mi").await?;
        let volume = is_made_once(cluster, "late").await?;
        restart_in(cluster, Part::Operator, &past, "persistentvolumes").await?;
        delete_object(cluster, &volume).await?;
        is_kept(cluster, &volume).await?;
        let mark = seen.operator.mark();
        delete_claim(cluster, "late").await?;
        let is_missed = |asked: &Asked, status| asked.is(Verb::Get, VOLUMES) && status == StatusCode::NOT_FOUND;
        seen.operator
            .answered(mark, "DeleteVolume finds no object", is_missed)
            .await?;
        seen.operator.catch_up();
        all_is_erased(cluster).await?;
        capacity_is_true(cluster).await
    })
    .await
}
