//! What a person can ask for.

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{demo, figures, soak, verify};

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
    /// Look for the next defect: volumes live at random, with crashes in between, until the time is over
    Soak(soak::Options),
    /// Check everything: formatting, lints, unit tests, then real hardware and a real cluster
    Verify(verify::Options),
}

/// Does what the command line says. A signal ends it by return, so that everything that was started is taken down in order.
pub(crate) async fn run() -> Result<()> {
    let options = Cli::parse();
    let mut interrupted = listen(SignalKind::interrupt())?;
    let mut terminated = listen(SignalKind::terminate())?;
    let mut hung_up = listen(SignalKind::hangup())?;
    tokio::select! {
        // The action comes first: it may wait for Ctrl-C itself, and has succeeded then.
        biased;
        outcome = act(options.action) => outcome,
        _ = interrupted.recv() => bail!("interrupted"),
        _ = terminated.recv() => bail!("terminated"),
        _ = hung_up.recv() => bail!("the terminal was closed"),
    }
}

fn listen(kind: SignalKind) -> Result<Signal> {
    signal(kind).context("listening for signals")
}

async fn act(action: Action) -> Result<()> {
    match action {
        Action::Demo(options) => Box::pin(demo::run(options)).await,
        Action::Figures(options) => figures::run(options).await,
        Action::Soak(options) => soak::run(options).await,
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
