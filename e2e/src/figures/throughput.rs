//! What the extender costs pods that do not need it: a stock scheduler, 1,000 nodes with persistent memory, and pods without
//! claims. The same with the extender, without it, and through a second scheduler that asks it, by turns.
//!
//! All pods of a round are there before the scheduler starts, so nothing else is at work then. The first and the last
//! tenth of them do not count: the scheduler warms up, and has a burst of calls to spend.
//!
//! kube-scheduler decides for pods that are alike together since 1.35, unless it asks an extender (opportunistic batching,
//! KEP-5598). So pods that are alike and pods that are not are measured apart.

use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use crds::PmemNode;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::figure::Figure;
use super::placements::Placements;
use crate::harness::hollow::pods::{NAMESPACE, PARALLEL, can_be_made, pod_object};
use crate::harness::hollow::{HollowCluster, Limits, Nodes, Part, SECOND_SCHEDULER};
use crate::harness::progress::step;
use crate::harness::wait::{HANG_LIMIT, Probe, until};

const NODES: Nodes = Nodes {
    count: 1000,
    region: "1Gi",
    regions: 2,
};

/// Who places the pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The scheduler of the control plane, which asks the extender.
    Extender,
    /// The scheduler of the control plane alone.
    Stock,
    /// A second scheduler, which asks an extender of its own.
    Second,
}

/// By turns, so that a machine that becomes slower or faster meanwhile does not favour one of them.
const WAYS: [Way; 6] = [
    Way::Extender,
    Way::Stock,
    Way::Second,
    Way::Second,
    Way::Stock,
    Way::Extender,
];

/// What is placed.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Load {
    /// In the names of figures.
    name: &'static str,
    limits: Limits,
    pods: u32,
    /// Whether all pods ask for the same.
    alike: bool,
    /// How much of the stock scheduler's pace is wanted with the extender.
    goal: Option<f64>,
}

const LOADS: [Load; 3] = [
    // "within 5% at its default client limits"
    Load {
        name: "default",
        limits: Limits::Default,
        pods: 1000,
        alike: true,
        goal: Some(0.95),
    },
    Load {
        name: "lifted",
        limits: Limits::Lifted,
        pods: 3000,
        alike: false,
        goal: Some(0.9),
    },
    Load {
        name: "lifted_alike",
        limits: Limits::Lifted,
        pods: 3000,
        alike: true,
        goal: None,
    },
];

/// Seconds for each pod, in each round.
#[derive(Debug, Default)]
struct Paces(Vec<(Way, f64)>);

/// Measures in a cluster of its own. If something fails, the logs are kept.
pub(super) async fn measure() -> Result<Vec<Figure>> {
    HollowCluster::measure("throughput", Limits::Lifted, measure_in).await
}

async fn measure_in(cluster: &mut HollowCluster) -> Result<Vec<Figure>> {
    step("starting 1,000 nodes and the extender", prepare(cluster)).await?;
    let mut figures = Vec::new();
    for load in LOADS {
        let mut paces = Paces::default();
        for way in WAYS.into_iter().filter(|way| load.is_placed(*way)) {
            let what = format!("{} pods, {}, {}", load.pods, load.name, way.name());
            let pace = Box::pin(round(cluster, load, way));
            paces.0.push((way, step(&what, pace).await?));
        }
        figures.extend(paces.figures(load)?);
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
async fn round(cluster: &mut HollowCluster, load: Load, way: Way) -> Result<f64> {
    let client = cluster.client();
    let api: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    make(&api, load, way).await?;
    let placements = Placements::watch(&client, NAMESPACE);
    way.start(cluster, load.limits).await?;
    let expected = usize::try_from(load.pods)?;
    until("a node for each pod", HANG_LIMIT, async || {
        match (cluster.check(), placements.count()) {
            (Err(error), _) => Probe::Never(error),
            (Ok(()), count) if count == expected => Probe::Ready(()),
            (Ok(()), count) => Probe::NotYet(anyhow!("{count} of {expected} have one")),
        }
    })
    .await?;
    way.stop(cluster)?;
    remove(&api).await?;
    pace(&placements.times()).context("too few pods")
}

async fn make(api: &Api<Pod>, load: Load, way: Way) -> Result<()> {
    let one = |number: u32| async move {
        let pod = serde_json::from_value(load.pod(way, number))?;
        api.create(&PostParams::default(), &pod).await.context("making a pod")?;
        Ok(())
    };
    stream::iter((0..load.pods).map(one))
        .buffer_unordered(PARALLEL)
        .try_collect()
        .await
}

impl Load {
    /// The limits of the second scheduler are always lifted.
    fn is_placed(self, way: Way) -> bool {
        way != Way::Second || self.limits == Limits::Lifted
    }

    fn pod(self, way: Way, number: u32) -> Value {
        let mut pod = pod_object(&format!("p{number}"), &[]);
        if way == Way::Second {
            pod["spec"]["schedulerName"] = json!(SECOND_SCHEDULER);
        }
        if !self.alike {
            // So little that every node has room for all.
            pod["spec"]["containers"][0]["resources"] = json!({ "requests": { "memory": number.to_string() } });
        }
        pod
    }
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Extender => "with_extender",
            Self::Stock => "without_extender",
            Self::Second => "second_scheduler",
        }
    }

    async fn start(self, cluster: &mut HollowCluster, limits: Limits) -> Result<()> {
        match self {
            Self::Extender => cluster.restart_scheduler(limits, true).await,
            Self::Stock => cluster.restart_scheduler(limits, false).await,
            Self::Second => cluster.start_second_scheduler().await,
        }
    }

    fn stop(self, cluster: &mut HollowCluster) -> Result<()> {
        match self {
            Self::Extender | Self::Stock => cluster.stop_scheduler(),
            Self::Second => {
                cluster.stop(Part::SecondScheduler)?;
                cluster.stop(Part::SecondExtender)
            }
        }
    }
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
    fn figures(&self, load: Load) -> Result<Vec<Figure>> {
        let figure = |what: &str, value: f64, unit: &str| {
            let name = format!("throughput_{}_{what}", load.name);
            Figure::new(&name, value, unit)
        };
        let stock = self.mean(Way::Stock).context("no round without the extender")?;
        let with = self.mean(Way::Extender).context("no round with the extender")?;
        let ratio = figure("ratio", stock / with, "ratio");
        let mut figures = vec![
            figure("with_extender", 1.0 / with, "pods/s"),
            figure("without_extender", 1.0 / stock, "pods/s"),
            match load.goal {
                Some(goal) => ratio.at_least(goal),
                None => ratio,
            },
            figure("added_per_pod", (with - stock) * 1e6, "us"),
        ];
        if let Some(second) = self.mean(Way::Second) {
            figures.push(figure("second_scheduler", 1.0 / second, "pods/s"));
            figures.push(figure("second_scheduler_ratio", stock / second, "ratio"));
        }
        Ok(figures)
    }

    /// None without a round.
    fn mean(&self, of: Way) -> Option<f64> {
        let paces = self.0.iter().filter(|(way, _)| *way == of).map(|(_, pace)| pace);
        let (sum, count) = paces.fold((0.0, 0.0), |(sum, count), pace| (sum + pace, count + 1.0));
        (count > 0.0).then(|| sum / count)
    }
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
        let paces = [
            (Way::Extender, 0.010),
            (Way::Stock, 0.009),
            (Way::Stock, 0.011),
            (Way::Extender, 0.012),
        ];
        let figures = Paces(paces.into()).figures(LOADS[0]).unwrap();
        let shown: Vec<String> = figures.iter().map(Figure::shown).collect();
        assert_eq!(
            shown[2],
            "figure throughput_default_ratio 0.909 ratio goal >= 0.95 short"
        );
        assert_eq!(shown[3], "figure throughput_default_added_per_pod 1000 us");
    }

    #[test]
    fn pods_that_are_not_alike_ask_for_different_things() {
        let of = |load: Load, number| load.pod(Way::Second, number);
        assert_eq!(
            of(LOADS[2], 1)["spec"]["containers"],
            of(LOADS[2], 2)["spec"]["containers"]
        );
        assert_ne!(
            of(LOADS[1], 1)["spec"]["containers"],
            of(LOADS[1], 2)["spec"]["containers"]
        );
        assert_eq!(of(LOADS[1], 1)["spec"]["schedulerName"], SECOND_SCHEDULER);
    }
}
