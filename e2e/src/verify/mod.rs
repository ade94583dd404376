//! `cargo verify`: everything that has to hold before a change is published.

mod checks;

use std::time::Instant;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use crate::progress::human;
use crate::{hardware, packages, scenarios};

/// What to verify; all tiers unless told otherwise.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Run only these tiers
    #[arg(long, value_enum, value_delimiter = ',', value_name = "TIER")]
    only: Vec<Tier>,
    /// Within the hardware and cluster tiers, run only tests whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    test: String,
}

/// A group of checks; the later ones take longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Tier {
    /// Formatting, lints, dependencies, unit and property tests
    Unit,
    /// A virtual machine with emulated persistent memory, without Kubernetes
    Hardware,
    /// A control plane and nodes with real kubelets, Daxfit installed as a user does it
    Cluster,
}

impl Options {
    fn includes(&self, tier: Tier) -> bool {
        self.only.is_empty() || self.only.contains(&tier)
    }
}

/// Runs the chosen tiers, all of them even when one fails.
///
/// The tiers with machines run side by side: each of them waits much of the time, for pods or for a machine to boot.
///
/// # Errors
/// Some check failed; which one has been printed.
pub(crate) async fn run(options: Options) -> Result<()> {
    packages::ensure_all().await?;
    let unit = run_if_chosen(Tier::Unit, &options).await;
    let (hardware, cluster) = tokio::join!(
        run_if_chosen(Tier::Hardware, &options),
        run_if_chosen(Tier::Cluster, &options),
    );
    let failed: Vec<String> = [unit, hardware, cluster].into_iter().flatten().collect();
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    eprintln!("verified");
    Ok(())
}

/// The name of the tier if it failed.
async fn run_if_chosen(tier: Tier, options: &Options) -> Option<String> {
    if !options.includes(tier) {
        return None;
    }
    let begun = Instant::now();
    eprintln!("{tier:?} tier");
    let outcome = run_tier(tier, &options.test).await;
    if let Err(error) = &outcome {
        eprintln!("error in the {tier:?} tier: {error:#}");
    }
    eprintln!("{tier:?} tier took {}", human(begun.elapsed()));
    outcome.is_err().then(|| format!("{tier:?}"))
}

async fn run_tier(tier: Tier, test: &str) -> Result<()> {
    match tier {
        Tier::Unit => checks::all().await,
        Tier::Hardware => hardware::run(test).await,
        Tier::Cluster => Box::pin(scenarios::run(test)).await,
    }
}
