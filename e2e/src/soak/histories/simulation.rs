//! The program that lives through one history.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::process::Command;
use tokio::time::timeout;

use super::outcome::Outcome;
use crate::harness::programs::{SIMULATION, build_alone};

/// What the program ends with if an invariant did not hold: that is an outcome.
const BROKEN: i32 = 3;

/// Most take a tenth of a second.
const ENDS_WITHIN: Duration = Duration::from_secs(300);

pub(super) struct Simulation {
    program: PathBuf,
    /// A variable of its environment, and what it says.
    variable: Option<(&'static str, String)>,
}

impl Simulation {
    pub(super) async fn build() -> Result<Self> {
        Ok(Self::of(build_alone(SIMULATION).await?))
    }

    /// The one that was built there.
    pub(super) fn of(program: PathBuf) -> Self {
        Self {
            program,
            variable: None,
        }
    }

    /// The same program with a variable in its environment.
    pub(super) fn with(&self, variable: &'static str, says: &str) -> Self {
        Self {
            program: self.program.clone(),
            variable: Some((variable, says.to_owned())),
        }
    }

    /// Lives through the history of a seed without some of its steps.
    pub(super) async fn live(&self, seed: u64, left_out: &[usize]) -> Result<Outcome> {
        let mut command = self.command(seed, left_out);
        command.args(["--print", "json"]);
        let Ok(lived) = timeout(ENDS_WITHIN, command.output()).await else {
            return Ok(Outcome::of_none("every history ends"));
        };
        let lived = lived.context("starting the simulation")?;
        if !matches!(lived.status.code(), Some(0 | BROKEN)) {
            eprintln!("seed {seed}: {}", String::from_utf8_lossy(&lived.stderr));
            return Ok(Outcome::of_none("no program dies"));
        }
        serde_json::from_slice(&lived.stdout).with_context(|| format!("what the simulation says of seed {seed}"))
    }

    /// The same history for people.
    pub(super) async fn print(&self, seed: u64, left_out: &[usize]) -> Result<String> {
        let printed = self.command(seed, left_out).output().await?;
        Ok(String::from_utf8_lossy(&printed.stdout).into_owned())
    }

    fn command(&self, seed: u64, left_out: &[usize]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg(seed.to_string())
            .stdin(Stdio::null())
            .env_remove("RUST_LOG")
            .envs(self.variable.clone())
            .kill_on_drop(true);
        if !left_out.is_empty() {
            let numbers: Vec<String> = left_out.iter().map(ToString::to_string).collect();
            command.args(["--leave-out", &numbers.join(",")]);
        }
        command
    }
}
