//! The operator's CreateVolume and DeleteVolume.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{all_is_erased, behind_proxy, claim, delete_claim, is_made_once, restart_in, volumes_become};
use crate::harness::api_proxy::{Asked, HeldWrite, Verb, When};
use crate::harness::cluster::part::Part;
use crate::harness::test_cluster::TestCluster;
use crate::harness::workload;

const VOLUMES: &str = "pmemvolumes";

/// Intermediate state: before and after the volume is written, between the record of its deletion and the deletion, and after
/// that. Then an answer that is lost, with nobody killed.
pub(in crate::scenarios) async fn one_volume_is_made_and_erased_wherever_the_operator_dies(
    cluster: &mut TestCluster,
) -> Result<()> {
    behind_proxy(cluster, async |cluster, seen| {
        let made = [When::Before, When::After, When::After];
        let erased = [Verb::Change, Verb::Delete, Verb::Delete];
        for (round, (made, erased)) in made.into_iter().zip(erased).enumerate() {
            let dies = round < 2;
            let write = seen
                .operator
                .hold_write("a volume is written", made, |asked| asked.is(Verb::Create, VOLUMES));
            claim(cluster, "once", "60Mi").await?;
            cut(cluster, write, dies).await?;
            is_made_once(cluster, "once").await?;
            let all = cluster.namespaces().await?;
            ensure!(all.len() == 1, "{made:?}: more than one namespace: {all:?}");

            let is_it = move |asked: &Asked| asked.is(erased, VOLUMES);
            let write = seen.operator.hold_write("a volume is deleted", When::After, is_it);
            delete_claim(cluster, "once").await?;
            cut(cluster, write, dies).await?;
            all_is_erased(cluster).await?;
        }
        Ok(())
    })
    .await
}

/// The operator dies while a write of it is held, or only loses the answer.
async fn cut(cluster: &mut TestCluster, mut write: HeldWrite, dies: bool) -> Result<()> {
    write.reached().await?;
    if dies {
        cluster.started()?.kill(Part::Operator).await?;
    }
    write.fail();
    Ok(())
}

/// Unobserved state: no event says that volumes are ready; then events of two come in another order; then watches break off.
pub(in crate::scenarios) async fn a_volume_that_became_ready_unseen_is_handed_out(
    cluster: &mut TestCluster,
) -> Result<()> {
    behind_proxy(cluster, async |cluster, seen| {
        let names = ["unseen", "reordered-0", "reordered-1"];
        seen.operator.freeze(VOLUMES);
        claim(cluster, names[0], "30Mi").await?;
        are_ready(cluster, 1).await?;
        seen.operator.lose(VOLUMES);
        is_made_once(cluster, names[0]).await?;

        seen.operator.freeze(VOLUMES);
        claim(cluster, names[1], "30Mi").await?;
        claim(cluster, names[2], "30Mi").await?;
        are_ready(cluster, 3).await?;
        seen.operator.thaw_in_another_order(VOLUMES);
        seen.operator.break_off(VOLUMES);
        for name in names {
            is_made_once(cluster, name).await?;
            delete_claim(cluster, name).await?;
        }
        all_is_erased(cluster).await
    })
    .await
}

/// Waits until so many volumes are ready, whoever knows it.
async fn are_ready(cluster: &TestCluster, count: usize) -> Result<()> {
    let what = format!("{count} volumes are ready");
    let is_ready = |volume: &&Value| volume["status"]["phase"] == "Ready";
    volumes_become(cluster, &what, |all| all.iter().filter(is_ready).count() == count).await
}

/// Stale state: it takes the region for empty. The node refuses what does not fit, and the claim gets its volume once
/// there is room.
pub(in crate::scenarios) async fn an_operator_in_the_past_gives_no_byte_twice(cluster: &mut TestCluster) -> Result<()> {
    behind_proxy(cluster, async |cluster, seen| {
        let past = seen.operator.record().await?;
        claim(cluster, "large", "300Mi").await?;
        is_made_once(cluster, "large").await?;
        restart_in(cluster, Part::Operator, &past, VOLUMES).await?;
        claim(cluster, "late", "300Mi").await?;
        let is_refused = |volume: &Value| volume["status"]["phase"] == "Refused";
        volumes_become(cluster, "the node refuses a volume", |all| all.iter().any(is_refused)).await?;
        seen.operator.catch_up();
        workload::event(&cluster.kubectl, "late", &["asked 300 MiB"]).await?;
        delete_claim(cluster, "large").await?;
        is_made_once(cluster, "late").await?;
        delete_claim(cluster, "late").await?;
        all_is_erased(cluster).await
    })
    .await
}
