//! Whether KVM works here, found by a trial boot.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use super::accel::Accel;
use super::console::Console;
use super::machine::Machine;
use super::running::Vm;
use crate::harness::cache::{Key, cached};
use crate::harness::command::capture;
use crate::harness::guest::Guest;
use crate::harness::progress::step;

/// Overrules the trial: `kvm` or `tcg`.
const OVERRIDE: &str = "DAXFIT_ACCEL";
/// Where KVM works, the light machine is up in two or three seconds.
const TRIAL: Duration = Duration::from_secs(45);

/// KVM where a trial boot has succeeded with it, else software emulation. The verdict is kept in the cache: a machine
/// can have `/dev/kvm` and yet hang a stock guest kernel, and finding out takes a while.
pub(super) async fn best_accel(guest: &Guest) -> Result<Accel> {
    if let Ok(name) = std::env::var(OVERRIDE) {
        return Accel::named(&name).with_context(|| format!("{OVERRIDE} can be kvm or tcg, not {name:?}"));
    }
    if !Path::new("/dev/kvm").exists() {
        return Ok(Accel::Tcg);
    }
    let verdict = cached("accel", &this_machine(guest).await?, async |folder: &Path| {
        let accel = step("trying KVM", async { Ok(after_trial(guest, folder).await) }).await?;
        fs::remove_dir_all(folder.join("scratch")).context("removing the trial's DIMMs")?;
        Ok(fs::write(folder.join("verdict"), accel.name())?)
    })
    .await?;
    let name = fs::read_to_string(verdict.join("verdict")).context("reading the verdict on KVM")?;
    Accel::named(&name).context("the verdict on KVM is damaged")
}

async fn after_trial(guest: &Guest, folder: &Path) -> Accel {
    match tokio::time::timeout(TRIAL, trial(guest, folder)).await {
        Ok(Ok(())) => Accel::Kvm,
        Ok(Err(error)) => without_kvm(&format!("{error:#}")),
        Err(_) => without_kvm("the guest hangs"),
    }
}

fn without_kvm(reason: &str) -> Accel {
    tracing::info!("KVM is not usable, software emulation is used: {reason}");
    Accel::Tcg
}

async fn trial(guest: &Guest, folder: &Path) -> Result<()> {
    let machine = Machine::light("trial");
    let scratch = folder.join("scratch");
    fs::create_dir(&scratch).context("making a folder for the trial")?;
    let console = Console::from_now(&folder.join("console.log"));
    let vm = Vm::start(&machine, guest, Accel::Kvm, &scratch, console).await?;
    ensure!(vm.run("true").await?.status == 0, "a command in the guest failed");
    Ok(())
}

/// What the verdict depends on.
async fn this_machine(guest: &Guest) -> Result<Key> {
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.arg("--version");
    let kernel = fs::read_to_string("/proc/version").context("reading /proc/version")?;
    let processors = fs::read_to_string("/proc/cpuinfo").context("reading /proc/cpuinfo")?;
    let model = processors
        .lines()
        .find(|line| line.starts_with("model name"))
        .unwrap_or_default();
    Ok(Key::new()
        .with(capture(qemu).await?)
        .with(kernel)
        .with(model)
        .with(guest.key().to_string()))
}
