//! `cargo demo`: the main job, step by step, with a report that a person can check.

mod report;
mod steps;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use crate::harness::cluster::Cluster;
use crate::harness::progress::step;
use crate::harness::test_cluster::TestCluster;
use report::Report;

/// What a person can choose.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Leave the cluster running until Ctrl-C, and print how to reach it
    #[arg(long)]
    keep: bool,
    /// Use an existing cluster with Daxfit installed, a ready node, and the busybox image
    #[arg(long, value_name = "FILE", conflicts_with = "keep")]
    kubeconfig: Option<PathBuf>,
}

/// Shows a pod that gets exactly the bytes it asks for, and cleans up.
pub(crate) async fn run(options: Options) -> Result<()> {
    let mut cluster = match &options.kubeconfig {
        Some(kubeconfig) => TestCluster::existing(kubeconfig).await?,
        None => started_cluster().await?,
    };
    let mut report = Report::default();
    let shown = steps::show(&cluster, &mut report).await;
    report.print_summary();
    if let Err(error) = shown {
        cluster.keep_logs("demo").await;
        bail!(error.context("the demo failed"));
    }
    if options.keep {
        cluster.keep().await?;
    }
    Ok(())
}

async fn started_cluster() -> Result<TestCluster> {
    let starting = Box::pin(Cluster::start());
    let cluster = step("starting a cluster with emulated persistent memory", starting).await?;
    step("installing Daxfit", TestCluster::install(cluster)).await
}
