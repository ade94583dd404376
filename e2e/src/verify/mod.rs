//! `cargo verify`: everything that has to hold before a change is published.

mod checks;

use std::time::Instant;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use crate::harness::progress::human;
use crate::harness::{cache, packages, room};
use crate::soak::histories;
use crate::{hardware, scenarios};

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
    /// The whole system in one process, with every fault that the world has
    Simulation,
    /// A virtual machine with emulated persistent memory, without Kubernetes
    Hardware,
    /// A control plane and nodes with real kubelets, Daxfit installed as a user does it
    Cluster,
}

impl Options {
    fn tiers(&self) -> &[Tier] {
        if self.only.is_empty() {
            Tier::value_variants()
        } else {
            &self.only
        }
    }
}

/// Runs the chosen tiers, all of them even when one fails.
/// An error names the tiers that failed; what failed in them has been printed.
pub(crate) async fn run(options: Options) -> Result<()> {
    packages::ensure_all().await?;
    room::make_room(&cache::folder()?)?;
    let mut failed = Vec::new();
    for tier in options.tiers() {
        let begun = Instant::now();
        eprintln!("{tier:?} tier");
        if let Err(error) = run_tier(*tier, &options.test).await {
            eprintln!("error: {error:#}");
            failed.push(format!("{tier:?}"));
        }
        eprintln!("{tier:?} tier took {}", human(begun.elapsed()));
    }
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    eprintln!("verified");
    Ok(())
}

async fn run_tier(tier: Tier, test: &str) -> Result<()> {
    match tier {
        Tier::Unit => checks::all().await,
        Tier::Simulation => histories::verify().await,
        Tier::Hardware => hardware::run(test).await,
        Tier::Cluster => Box::pin(scenarios::run(test)).await,
    }
}
