//! A machine without Kubernetes, whose devices are worked on by our programs: its power switch, and what is on its devices.

mod effects;
mod inventory;
mod machines;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use placement::Bytes;

use crate::harness::guest::Guest;
use crate::harness::logs;
use crate::harness::progress::step;
use crate::harness::vm::{DeviceBytes, Machine, Output, Vm};

pub(crate) use effects::{Effect, effects};
pub(crate) use inventory::{Inventory, Namespace, inventory};
pub(crate) use machines::Machines;

/// The node driver, in the machine.
pub(crate) const DRIVER: &str = "/mnt/files/daxfit-node-driver";
/// Runs the driver's work on one volume, in the machine.
pub(crate) const VOLUME: &str = "/mnt/files/standalone-volume";

/// Writes empty label areas, which destroys what was on the DIMMs.
const INITIALISE_LABELS: &str = "ndctl disable-region all && ndctl init-labels -f all && ndctl enable-region all";

/// The kernel shows an idle namespace of size 0 in each region: the seed of the next one. A region without labels is one
/// namespace that has no UUID and never goes.
const LIST_NAMESPACES: &str =
    "ndctl list --namespaces --idle | jq --compact-output '.[] | select(.size > 0 and .uuid)'";

/// A running machine with initialised label areas and no namespaces.
#[derive(Debug)]
pub(crate) struct TestVm {
    vm: Option<Vm>,
    machine: Machine,
    guest: Guest,
    folder: PathBuf,
    console: PathBuf,
}

impl TestVm {
    /// Boots a machine with new DIMMs, whose bytes are in `folder`, and initialises their label areas. `number` sets its
    /// console apart from those of other machines of the same name.
    pub(crate) async fn start(guest: &Guest, machine: Machine, folder: PathBuf, number: usize) -> Result<Self> {
        let console = logs::empty_file(&format!("{}-{number}.console", machine.name))?;
        let mut vm = Self {
            vm: None,
            machine,
            guest: guest.clone(),
            folder,
            console,
        };
        vm.switch_on().await?;
        vm.shell(INITIALISE_LABELS).await.context("initialising label areas")?;
        Ok(vm)
    }

    /// Runs a bash script and waits for its end, whatever its exit status ([`Vm::run`]).
    pub(crate) async fn run(&self, script: &str) -> Result<Output> {
        self.vm()?.run(script).await
    }

    /// Runs a bash script that has to succeed, and returns its standard output ([`Vm::shell`]).
    pub(crate) async fn shell(&self, script: &str) -> Result<String> {
        self.vm()?.shell(script).await
    }

    /// Makes the page at `offset` of a region a bad block that the module cannot clear, and waits until the kernel knows of it.
    /// It is one until the power is cut.
    pub(crate) async fn poison(&self, region: &str, offset: Bytes) -> Result<()> {
        let device = format!("/sys/bus/nd/devices/{region}");
        let start = self
            .shell(&format!("echo $(($(<{device}/resource) + {}))", offset.get()))
            .await?;
        // A memory read error of processor 0 in bank 9, of one page, that the kernel is told of and nobody consumed: for an
        // address in a region, it ends in `nfit_handle_mce` of drivers/acpi/nfit/mce.c.
        let mce = format!("mce -b 0 9 0xbd000000000000c0 0x5 {} 0x8c", start.trim());
        self.vm()?.monitor(&mce).await?;
        let sector = offset.divided_by(Bytes::new(512));
        self.shell(&format!(
            "timeout 60 bash -c 'until grep -q \"^{sector} \" {device}/badblocks; do sleep 0.1; done'"
        ))
        .await
        .with_context(|| format!("{offset} of {region} did not become a bad block"))
        .map(drop)
    }

    /// Cuts the power and boots again with the same DIMMs.
    pub(crate) async fn cut_power(&mut self) -> Result<()> {
        if let Some(vm) = self.vm.take() {
            vm.cut_power()?;
        }
        self.switch_on().await
    }

    /// Cuts the power, changes the machine, and boots again with the same bytes in its memory devices.
    pub(crate) async fn rebuild(&mut self, change: impl FnOnce(&mut Machine)) -> Result<()> {
        change(&mut self.machine);
        self.cut_power().await
    }

    /// The persistent memory of the n-th NVDIMM, without its label area.
    pub(crate) fn nvdimm_data(&self, n: usize) -> Result<DeviceBytes> {
        self.machine
            .nvdimm_data(&self.folder, n)
            .context("there is no such NVDIMM")
    }

    /// The label area of the n-th NVDIMM.
    pub(crate) fn nvdimm_labels(&self, n: usize) -> Result<DeviceBytes> {
        self.machine
            .nvdimm_labels(&self.folder, n)
            .context("there is no such NVDIMM")
    }

    /// The label area of the n-th CXL device.
    pub(crate) fn cxl_labels(&self, n: usize) -> Result<DeviceBytes> {
        self.machine
            .cxl_labels(&self.folder, n)
            .context("there is no such CXL device")
    }

    /// Fails when a test has left a namespace.
    pub(crate) async fn is_clean(&self) -> Result<()> {
        let left = self.shell(LIST_NAMESPACES).await?;
        ensure!(left.is_empty(), "the test left namespaces behind:\n{left}");
        Ok(())
    }

    /// The file with what the kernel and init printed; it outlives the run.
    pub(crate) fn console(&self) -> &Path {
        &self.console
    }

    fn vm(&self) -> Result<&Vm> {
        self.vm.as_ref().context("the machine is switched off")
    }

    async fn switch_on(&mut self) -> Result<()> {
        let booting = self.machine.boot(&self.guest, &self.folder, &self.console);
        self.vm = Some(step(&format!("booting {}", self.machine.name), booting).await?);
        Ok(())
    }
}
