//! `cargo figures`: the benchmarks, one line for each figure.
//!
//! `figure NAME VALUE UNIT goal OP VALUE met|short`, or without the goal where there is none to reach. A figure that falls
//! short is no failure; a benchmark that cannot run is.

mod burst;
mod capacity;
mod cargo_bench;
mod claims_throughput;
mod delays;
mod erase;
mod figure;
mod node;
mod placements;
mod scale;
mod throughput;
mod wake;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::harness::packages;
use figure::Figure;

/// What to measure; everything unless told otherwise.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Run only these benchmarks
    #[arg(value_enum, value_name = "NAME")]
    names: Vec<Benchmark>,
    /// Print one JSON object for each figure instead
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    scale: scale::Scale,
    #[command(flatten)]
    burst: burst::Asked,
}

/// A group of figures that are measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Benchmark {
    /// The extender over TLS: filter and prioritize with 5,000 names and 50,000 volumes
    Extender,
    /// How full a cluster gets before a claim fails, under our policies and others
    Packing,
    /// Thousands of pods at once on hundreds of nodes, with the extender and by all that Kubernetes has by itself
    Burst,
    /// What the extender costs pods without claims, with a real scheduler at 1,000 nodes
    Throughput,
    /// What placing pods with a claim costs kube-scheduler at 1,000 nodes, by what it has to walk through
    ClaimsThroughput,
    /// How long until PmemNode, index and CSIStorageCapacity show a change on a node
    Capacity,
    /// How long until kube-scheduler queues a pod that waits once bytes are free that it could use
    Wake,
    /// Staging a volume while others wait or are erased, on a real kernel; the memory of the node driver
    Node,
    /// Making volumes on bytes that are known to be zero, and erasing them, on a real kernel
    Erase,
}

impl Benchmark {
    async fn measure(self, options: &Options) -> Result<Vec<Figure>> {
        match self {
            Self::Extender => cargo_bench::measure("daxfit-extender", "figures").await,
            Self::Packing => cargo_bench::measure("placement", "packing").await,
            Self::Burst => Box::pin(burst::measure(&options.scale, &options.burst)).await,
            Self::Throughput => Box::pin(throughput::measure()).await,
            Self::ClaimsThroughput => Box::pin(claims_throughput::measure(&options.scale)).await,
            Self::Capacity => Box::pin(capacity::measure()).await,
            Self::Wake => Box::pin(wake::measure()).await,
            Self::Node => Box::pin(node::measure()).await,
            Self::Erase => Box::pin(erase::measure()).await,
        }
    }
}

/// Runs the chosen benchmarks and prints their figures.
pub(crate) async fn run(options: Options) -> Result<()> {
    packages::ensure_all().await?;
    let all = Benchmark::value_variants();
    let chosen = if options.names.is_empty() { all } else { &options.names };
    for benchmark in chosen {
        for figure in benchmark.measure(&options).await? {
            let line = if options.json {
                serde_json::to_string(&figure)?
            } else {
                figure.shown()
            };
            println!("{line}");
        }
    }
    Ok(())
}
