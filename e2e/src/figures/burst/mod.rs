//! A burst: thousands of pods with one to three claims each, all at once, on hundreds of nodes that they nearly fill. Once
//! with the extender, and by all ways that Kubernetes has by itself.

mod aftermath;
mod demand;
mod objects;
mod run;
mod way;

use anyhow::{Context, Result};
use clap::Args;
use placement::Bytes;

use super::figure::Figure;
use super::scale::Scale;
use crate::harness::hollow::Nodes;
use demand::{Supply, demand, share};
use run::{Outcome, Run};
use way::Way;

/// What the pods ask for, and by which ways they are placed.
#[derive(Debug, Args)]
pub(super) struct Asked {
    /// burst: the share of all bytes that the volumes of all pods take
    #[arg(long, default_value_t = 0.95)]
    fill: f64,
    /// burst: what the random sizes follow from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// burst: only the run with the extender
    #[arg(long)]
    only_with_extender: bool,
}

/// Each node has two of them.
const REGION: (&str, Bytes) = ("1Gi", Bytes::gib(1));

/// One burst for each way, one after the other, each in a cluster of its own.
pub(super) async fn measure(scale: &Scale, options: &Asked) -> Result<Vec<Figure>> {
    let (nodes, pods) = scale.or(200, 2000);
    let supply = Supply {
        regions: 2 * nodes,
        region: REGION.1,
        fill: options.fill,
    };
    let demand = demand(pods, supply, options.seed)?;
    let claims: usize = demand.iter().map(Vec::len).sum();
    eprintln!(
        "burst: {nodes} nodes with 2 × {}, {pods} pods with {claims} claims for {} of all bytes; client limits lifted",
        REGION.0, options.fill
    );
    let nodes = Nodes {
        count: nodes,
        region: REGION.0,
        regions: 2,
    };
    let ways = if options.only_with_extender {
        &Way::ALL[..1]
    } else {
        Way::ALL
    };
    let mut figures = Vec::new();
    for way in ways {
        let run = Run {
            nodes,
            pods: &demand,
            way: *way,
        };
        figures.extend(run.figures(&Box::pin(run.measure()).await?)?);
    }
    Ok(figures)
}

impl Run<'_> {
    fn figures(&self, outcome: &Outcome) -> Result<Vec<Figure>> {
        let (prefix, goals) = (self.way.prefix(), self.way == Way::Extender);
        let figure = |name: &str, value: f64, unit: &str| Figure::new(&format!("{prefix}_{name}"), value, unit);
        let count = |name: &str, count: usize, unit: &str| -> Result<Figure> {
            let count = u32::try_from(count).context("too many to count")?;
            Ok(figure(name, f64::from(count), unit))
        };
        let refused = figure("create_volume_refused", outcome.calls.refused, "calls");
        let aftermath = &outcome.aftermath;
        let fitting = count("unplaced_that_fit", aftermath.that_fit.len(), "pods")?;
        let placed = count("pods_placed", aftermath.placed, "pods")?;
        let volumes = f64::from(u32::try_from(aftermath.volumes)?);
        let seconds = outcome.took.as_secs_f64();
        let mut figures = vec![
            if goals { refused.at_most(0.0) } else { refused },
            if goals { fitting.at_most(0.0) } else { fitting },
            figure("create_volume_succeeded", outcome.calls.succeeded, "calls"),
            figure("create_volume_failed_otherwise", outcome.calls.otherwise, "calls"),
            placed,
            count("pods_unplaced", aftermath.unplaced, "pods")?,
            count("unplaced_with_volumes", aftermath.with_volumes, "pods")?,
            figure("bytes_used", aftermath.used, "share"),
            figure("time", seconds, "s"),
            figure(
                "pods_per_second",
                f64::from(u32::try_from(aftermath.placed)?) / seconds,
                "1/s",
            ),
            figure(
                "capacity_writes_per_volume",
                outcome.capacity_writes / volumes,
                "writes",
            ),
        ];
        for (name, memory) in &outcome.memory {
            figures.push(figure(&format!("{name}_memory"), mebibytes(memory.now), "MiB"));
            figures.push(figure(&format!("{name}_memory_peak"), mebibytes(memory.peak), "MiB"));
        }
        Ok(figures)
    }
}

pub(super) fn mebibytes(bytes: Bytes) -> f64 {
    share(bytes, Bytes::mib(1))
}
