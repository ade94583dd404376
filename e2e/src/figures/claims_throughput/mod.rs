//! What placing pods with a claim costs kube-scheduler, by what it has to walk through: for each node and claim it goes through
//! all CSIStorageCapacity objects of the cluster, whatever they say.
//!
//! In each round the scheduler starts anew, all pods are made at once, and the round ends when each has a node. Processor
//! time is what the kernel says of each process, from the first pod to the last node. The states take turns, there and back.

mod profile;
mod round;
mod walk;

use anyhow::{Context, Result};

use super::figure::Figure;
use super::scale::Scale;
use crate::harness::hollow::{HollowCluster, Limits, Nodes};
use crate::harness::progress::step;
use round::Round;
use walk::Walk;

/// "the chosen state against today's"
const GOAL: f64 = 0.02;

/// What was measured of one state, both rounds.
struct Measured {
    walk: Walk,
    rounds: Vec<Round>,
}

/// Two clusters: with two NUMA nodes on each node, and with one.
pub(super) async fn measure(scale: &Scale) -> Result<Vec<Figure>> {
    let (nodes, pods) = scale.or(1000, 100);
    let mut all = Vec::new();
    for (regions, walks) in [(2, Walk::OF_TWO), (1, Walk::OF_ONE)] {
        let nodes = Nodes {
            count: nodes,
            region: "1Gi",
            regions,
        };
        let measured = HollowCluster::measure("claims-throughput", Limits::Lifted, async |cluster| {
            Box::pin(measure_in(cluster, nodes, walks, pods)).await
        });
        all.extend(Box::pin(measured).await?);
    }
    figures(&all)
}

async fn measure_in(cluster: &mut HollowCluster, nodes: Nodes, walks: &[Walk], pods: u32) -> Result<Vec<Measured>> {
    let starting = async {
        cluster.start_daxfit(nodes).await?;
        cluster.start_extender().await
    };
    step("starting operator, provisioner, nodes and extender", starting).await?;
    let mut measured: Vec<Measured> = walks.iter().copied().map(Measured::new).collect();
    for turn in 0..2 {
        let there_and_back: Vec<&mut Measured> = match turn {
            0 => measured.iter_mut().collect(),
            _ => measured.iter_mut().rev().collect(),
        };
        for of in there_and_back {
            let what = format!("{pods} pods, turn {}: {}", turn + 1, of.walk.name());
            of.walk.enter(cluster).await?;
            let name = format!("{}-{}-{turn}", nodes.regions, of.walk.name());
            let round = Box::pin(Round::run(cluster, &name, pods));
            of.rounds.push(step(&what, round).await?);
        }
    }
    Ok(measured)
}

fn figures(all: &[Measured]) -> Result<Vec<Figure>> {
    let today = all.first().context("nothing was measured")?.scheduler();
    let mut figures = Vec::new();
    for measured in all {
        let figure = |what: &str, value: f64, unit: &str| {
            Figure::new(
                &format!("claims_throughput_{}_{what}", measured.walk.name()),
                value,
                unit,
            )
        };
        let ratio = figure("scheduler_ratio", measured.scheduler() / today, "ratio");
        figures.push(figure("scheduler_per_pod", measured.scheduler() * 1e3, "ms"));
        figures.push(match measured.walk {
            Walk::Nothing | Walk::NothingOfAll => ratio.at_most(GOAL),
            _ => ratio,
        });
        figures.push(figure("pods_per_second", measured.mean(Round::pods_per_second), "1/s"));
        figures.push(figure("wait_p50", measured.mean(|round| round.wait(50)), "s"));
        figures.push(figure("wait_p99", measured.mean(|round| round.wait(99)), "s"));
        figures.push(figure("in_capacity", measured.mean(|round| round.in_capacity), "share"));
        for name in measured.others() {
            let per_pod = measured.mean(|round| round.per_pod(name));
            figures.push(figure(&format!("{name}_per_pod"), per_pod * 1e3, "ms"));
        }
    }
    Ok(figures)
}

impl Measured {
    fn new(walk: Walk) -> Self {
        Self {
            walk,
            rounds: Vec::new(),
        }
    }

    /// Seconds that the scheduler takes of the processors for each pod.
    fn scheduler(&self) -> f64 {
        self.mean(|round| round.per_pod(round::SCHEDULER))
    }

    fn mean(&self, of: impl Fn(&Round) -> f64) -> f64 {
        let count = self.rounds.iter().map(|_| 1.0).sum::<f64>();
        self.rounds.iter().map(of).sum::<f64>() / count
    }

    /// The names of the other processes.
    fn others(&self) -> Vec<&'static str> {
        let names = self.rounds.first().map(Round::processes).unwrap_or_default();
        names.into_iter().filter(|name| *name != round::SCHEDULER).collect()
    }
}
