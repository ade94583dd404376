//! What a test works on: a running machine, and its power switch.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::guest::Guest;
use crate::progress::step;
use crate::vm::{Machine, Vm};

/// Where consoles are kept for whoever looks into a failure.
const LOGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/e2e-logs");

/// Writes empty label areas, which destroys what was on the DIMMs.
const INITIALISE_LABELS: &str = "ndctl disable-region all && ndctl init-labels -f all && ndctl enable-region all";

/// The kernel shows an idle namespace of size 0 in each region: the seed of the next one. A region without labels is one
/// namespace that has no UUID and never goes.
const LIST_NAMESPACES: &str =
    "ndctl list --namespaces --idle | jq --compact-output '.[] | select(.size > 0 and .uuid)'";

/// A running machine with initialised label areas and no namespaces.
#[derive(Debug)]
pub(crate) struct Bench {
    vm: Option<Vm>,
    machine: Machine,
    guest: Guest,
    folder: PathBuf,
    console: PathBuf,
}

impl Bench {
    /// Boots a machine with new DIMMs, whose bytes are in `folder`, and initialises their label areas.
    ///
    /// # Errors
    /// The machine does not come up, or a label area cannot be written.
    pub(super) async fn fresh(guest: &Guest, machine: Machine, folder: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(LOGS).with_context(|| format!("creating {LOGS}"))?;
        let console = PathBuf::from(LOGS).join(format!("{}.console", machine.name));
        let mut bench = Self {
            vm: None,
            machine,
            guest: guest.clone(),
            folder,
            console,
        };
        bench.switch_on().await?;
        bench
            .shell(INITIALISE_LABELS)
            .await
            .context("initialising label areas")?;
        Ok(bench)
    }

    /// The running machine.
    ///
    /// # Errors
    /// It has been switched off.
    pub(crate) fn vm(&self) -> Result<&Vm> {
        self.vm.as_ref().context("the machine is switched off")
    }

    /// Runs a bash script that has to succeed, and returns its standard output ([`Vm::shell`]).
    ///
    /// # Errors
    /// As [`Vm::shell`].
    pub(crate) async fn shell(&self, script: &str) -> Result<String> {
        self.vm()?.shell(script).await
    }

    /// Cuts the power and boots again with the same DIMMs.
    ///
    /// # Errors
    /// The machine does not come up again.
    pub(crate) async fn cut_power(&mut self) -> Result<()> {
        if let Some(vm) = self.vm.take() {
            vm.cut_power()?;
        }
        self.switch_on().await
    }

    async fn switch_on(&mut self) -> Result<()> {
        let booting = self.machine.boot(&self.guest, &self.folder, &self.console);
        self.vm = Some(step(&format!("booting {}", self.machine.name), booting).await?);
        Ok(())
    }

    /// Fails when a test has left a namespace.
    pub(super) async fn is_clean(&self) -> Result<()> {
        let left = self.shell(LIST_NAMESPACES).await?;
        ensure!(left.is_empty(), "the test left namespaces behind:\n{left}");
        Ok(())
    }
}
