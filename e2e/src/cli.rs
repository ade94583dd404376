//! What a person can ask for.

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::{demo, figures, verify};

#[derive(Debug, Parser)]
#[command(name = "cargo", about = "Daxfit on a real control plane, a real kubelet and a real kernel", long_about = None)]
struct Cli {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the main job: a pod gets exactly the bytes it asks for, on a real cluster with emulated persistent memory
    Demo(demo::Options),
    /// Measure: one line for each figure, beside its goal
    Figures(figures::Options),
    /// Check everything: formatting, lints, unit tests, then real hardware and a real cluster
    Verify(verify::Options),
}

/// Reads the command line and does what it says.
///
/// # Errors
/// What was asked for did not succeed.
pub(crate) async fn run() -> Result<()> {
    let mut terminated = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    // Ending by return lets everything that was started be taken down in order.
    tokio::select! {
        outcome = act(Cli::parse().action) => outcome,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminated.recv() => bail!("terminated"),
    }
}

async fn act(action: Action) -> Result<()> {
    match action {
        Action::Demo(options) => Box::pin(demo::run(options)).await,
        Action::Figures(options) => figures::run(options).await,
        Action::Verify(options) => Box::pin(verify::run(options)).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_makes_sense() {
        super::Cli::command().debug_assert();
    }
}
