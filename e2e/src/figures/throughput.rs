//! What the extender costs pods that do not need it: a stock scheduler, 1,000 nodes with persistent memory, and pods without
//! claims. The same with the extender and without it, by turns, with the scheduler's own limits and without them.
//!
//! All pods of a round are there before the scheduler starts, so nothing else is at work then. The first and the last
//! tenth of them do not count: the scheduler warms up, and has a burst of calls to spend.

use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use crds::PmemNode;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client};

use super::figure::Figure;
use super::placements::Placements;
use crate::harness::hollow::pods::{NAMESPACE, PARALLEL, can_be_made, pod_object};
use crate::harness::hollow::{HollowCluster, Limits, Nodes, Part};
use crate::harness::progress::step;
use crate::harness::wait::{HANG_LIMIT, Probe, until};

const NODES: Nodes = Nodes {
    count: 1000,
    region: "1Gi",
    regions: 2,
};
/// By turns, so that a machine that becomes slower or faster meanwhile does not favour one of them.
const WITH_EXTENDER: [bool; 4] = [true, false, false, true];
/// "within 5% at its default client limits"
const GOAL: f64 = 0.95;

/// Seconds for each pod.
#[derive(Debug, Default)]
struct Paces {
    with: Vec<f64>,
    without: Vec<f64>,
}

/// Measures in a cluster of its own. If something fails, the logs are kept.
pub(super) async fn measure() -> Result<Vec<Figure>> {
    HollowCluster::measure("throughput", Limits::Lifted, measure_in).await
}

async fn measure_in(cluster: &mut HollowCluster) -> Result<Vec<Figure>> {
    step("starting 1,000 nodes and the extender", prepare(cluster)).await?;
    let mut figures = Vec::new();
    for (name, limits, pods) in [("default", Limits::Default, 1000), ("lifted", Limits::Lifted, 3000)] {
        let mut paces = Paces::default();
        for extender in WITH_EXTENDER {
            let what = format!(
                "{pods} pods, {name} limits, {} extender",
                if extender { "with" } else { "without" }
            );
            let pace = step(&what, round(cluster, limits, extender, pods)).await?;
            let paces = if extender { &mut paces.with } else { &mut paces.without };
            paces.push(pace);
        }
        figures.extend(paces.figures(name, limits));
    }
    Ok(figures)
}

/// The nodes are objects only, once they have reported what they have.
async fn prepare(cluster: &mut HollowCluster) -> Result<()> {
    cluster.stop_scheduler()?;
    cluster.start_nodes(NODES)?;
    until("all nodes and what they report", HANG_LIMIT, async || {
        match (cluster.check(), unready(&cluster.client()).await) {
            (Err(error), _) => Probe::Never(error),
            (Ok(()), Ok(0)) => Probe::Ready(()),
            (Ok(()), Ok(unready)) => Probe::NotYet(anyhow!("{unready} of them are missing")),
            (Ok(()), Err(error)) => Probe::NotYet(error),
        }
    })
    .await?;
    cluster.stop(Part::Nodes)?;
    cluster.start_extender().await?;
    can_be_made(&cluster.client()).await
}

/// How many nodes cannot take pods yet or have not reported their space.
async fn unready(client: &Client) -> Result<u32> {
    let all = ListParams::default();
    let reports = Api::<PmemNode>::all(client.clone()).list(&all).await?.items;
    let reported = reports.iter().filter(|node| node.status.is_some()).count();
    let nodes = Api::<Node>::all(client.clone()).list(&all).await?.items;
    let is_untainted = |node: &&Node| node.spec.as_ref().is_none_or(|spec| spec.taints.is_none());
    let untainted = nodes.iter().filter(is_untainted).count();
    Ok(NODES.count.saturating_sub(u32::try_from(reported.min(untainted))?))
}

/// Seconds that one pod takes.
async fn round(cluster: &mut HollowCluster, limits: Limits, extender: bool, pods: u32) -> Result<f64> {
    let client = cluster.client();
    let api: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    make(&api, pods).await?;
    let placements = Placements::watch(&client, NAMESPACE);
    cluster.restart_scheduler(limits, extender).await?;
    let expected = usize::try_from(pods)?;
    until("a node for each pod", HANG_LIMIT, async || {
        match (cluster.check(), placements.count()) {
            (Err(error), _) => Probe::Never(error),
            (Ok(()), count) if count == expected => Probe::Ready(()),
            (Ok(()), count) => Probe::NotYet(anyhow!("{count} of {expected} have one")),
        }
    })
    .await?;
    cluster.stop_scheduler()?;
    remove(&api).await?;
    pace(&placements.times()).context("too few pods")
}

async fn make(api: &Api<Pod>, pods: u32) -> Result<()> {
    let one = |number: u32| async move {
        let pod = serde_json::from_value(pod_object(&format!("p{number}"), &[]))?;
        api.create(&PostParams::default(), &pod).await.context("making a pod")?;
        Ok(())
    };
    stream::iter((0..pods).map(one))
        .buffer_unordered(PARALLEL)
        .try_collect()
        .await
}

/// Without grace: no kubelet would confirm that a pod has ended.
async fn remove(api: &Api<Pod>) -> Result<()> {
    let at_once = DeleteParams::default().grace_period(0);
    api.delete_collection(&at_once, &ListParams::default())
        .await
        .context("deleting the pods")?;
    until("all pods are gone", HANG_LIMIT, async || {
        match api.list_metadata(&ListParams::default()).await {
            Ok(left) if left.items.is_empty() => Probe::Ready(()),
            Ok(left) => Probe::NotYet(anyhow!("{} are left", left.items.len())),
            Err(error) => Probe::NotYet(error.into()),
        }
    })
    .await
}

/// Seconds for each pod, from the one after the first tenth to the last one before the last tenth.
fn pace(times: &[Instant]) -> Option<f64> {
    let (first, last) = (times.len() / 10, times.len() - times.len() / 10 - 1);
    let pods = u32::try_from(last.checked_sub(first).filter(|pods| *pods > 0)?).ok()?;
    let took = times.get(last)?.duration_since(*times.get(first)?);
    Some(took.as_secs_f64() / f64::from(pods))
}

impl Paces {
    fn figures(&self, name: &str, limits: Limits) -> Vec<Figure> {
        let (with, without) = (mean(&self.with), mean(&self.without));
        let figure =
            |what: &str, value: f64, unit: &str| Figure::new(&format!("throughput_{name}_{what}"), value, unit);
        let ratio = figure("ratio", without / with, "ratio");
        vec![
            figure("with_extender", 1.0 / with, "pods/s"),
            figure("without_extender", 1.0 / without, "pods/s"),
            if limits == Limits::Default {
                ratio.at_least(GOAL)
            } else {
                ratio
            },
            figure("added_per_pod", (with - without) * 1e6, "us"),
        ]
    }
}

fn mean(values: &[f64]) -> f64 {
    let count = values.iter().map(|_| 1.0).sum::<f64>();
    values.iter().sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::time::Duration;

    #[test]
    fn the_ends_do_not_count() {
        let begun = Instant::now();
        let at = |second: u64| begun + Duration::from_secs(second);
        let mut times: Vec<Instant> = (100..120).map(at).collect();
        assert_eq!(pace(&times), Some(1.0));
        times[0] = at(0);
        times[19] = at(1000);
        assert_eq!(pace(&times), Some(1.0));
        assert_eq!(pace(&[at(0)]), None);
    }

    #[test]
    fn a_slower_pace_with_the_extender_is_a_ratio_below_one() {
        let paces = Paces {
            with: vec![0.010, 0.012],
            without: vec![0.009, 0.011],
        };
        let shown: Vec<String> = paces
            .figures("default", Limits::Default)
            .iter()
            .map(Figure::shown)
            .collect();
        assert_eq!(
            shown[2],
            "figure throughput_default_ratio 0.909 ratio goal >= 0.95 short"
        );
        assert_eq!(shown[3], "figure throughput_default_added_per_pod 1000 us");
    }
}
