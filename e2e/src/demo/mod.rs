//! `cargo demo`: the main job, step by step, with an account that a person can check.

mod account;
mod steps;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use crate::cluster::Cluster;
use crate::progress::step;
use crate::stage::Stage;
use account::Account;

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
///
/// # Errors
/// A step failed; the account of those before it has been printed.
pub(crate) async fn run(options: Options) -> Result<()> {
    let mut stage = match &options.kubeconfig {
        Some(kubeconfig) => Stage::existing(kubeconfig).await?,
        None => own_stage().await?,
    };
    let mut account = Account::default();
    let shown = steps::show(&stage, &mut account).await;
    account.print_summary();
    if let Err(error) = shown {
        stage.collect_logs("demo").await?;
        bail!(error.context("the demo failed"));
    }
    if options.keep {
        stage.keep().await?;
    }
    Ok(())
}

async fn own_stage() -> Result<Stage> {
    let starting = Box::pin(Cluster::start());
    let cluster = step("starting a cluster with emulated persistent memory", starting).await?;
    step("installing Daxfit", Stage::set(cluster)).await
}
