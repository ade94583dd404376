//! How QEMU runs the guest's instructions.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use super::{Machine, Vm};
use crate::cache::{Key, cached};
use crate::command::capture;
use crate::guest::Guest;
use crate::progress::step;

/// Overrules the trial: `kvm` or `tcg`.
const OVERRIDE: &str = "DAXFIT_ACCEL";
/// Where KVM works, the light machine is up in two or three seconds.
const TRIAL: Duration = Duration::from_secs(45);

/// How QEMU runs the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accel {
    /// The processor runs them.
    Kvm,
    /// QEMU translates them.
    Tcg,
}

impl Accel {
    /// KVM where a trial boot has succeeded with it, else software emulation. The verdict is kept in the cache: a machine
    /// can have `/dev/kvm` and yet hang a stock guest kernel, and finding out takes a while.
    ///
    /// # Errors
    /// The variable `DAXFIT_ACCEL` has an unknown value, or the cache cannot be used.
    pub(crate) async fn best(guest: &Guest) -> Result<Self> {
        if let Ok(name) = std::env::var(OVERRIDE) {
            return Self::named(&name).with_context(|| format!("{OVERRIDE} can be kvm or tcg, not {name:?}"));
        }
        if !Path::new("/dev/kvm").exists() {
            return Ok(Self::Tcg);
        }
        let verdict = cached("accel", &this_machine(guest).await?, async |folder: &Path| {
            let accel = step("trying KVM", async { Ok(Self::after_trial(guest, folder).await) }).await?;
            fs::remove_dir_all(folder.join("scratch")).context("removing the trial's DIMMs")?;
            Ok(fs::write(folder.join("verdict"), accel.name())?)
        })
        .await?;
        let name = fs::read_to_string(verdict.join("verdict")).context("reading the verdict on KVM")?;
        Self::named(&name).context("the verdict on KVM is damaged")
    }

    async fn after_trial(guest: &Guest, folder: &Path) -> Self {
        match tokio::time::timeout(TRIAL, trial(guest, folder)).await {
            Ok(Ok(())) => Self::Kvm,
            Ok(Err(error)) => Self::without_kvm(&format!("{error:#}")),
            Err(_) => Self::without_kvm("the guest hangs"),
        }
    }

    fn without_kvm(why: &str) -> Self {
        tracing::info!("KVM is not usable, software emulation is used: {why}");
        Self::Tcg
    }

    /// Options of QEMU. Nehalem has no AVX, which is slow to emulate; KVM takes what the host has.
    pub(super) fn arguments(self) -> &'static str {
        match self {
            Self::Kvm => "-accel kvm -cpu host",
            Self::Tcg => "-accel tcg,thread=multi -cpu Nehalem",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Kvm, Self::Tcg].into_iter().find(|accel| accel.name() == name)
    }
}

async fn trial(guest: &Guest, folder: &Path) -> Result<()> {
    let machine = Machine::light("trial");
    let scratch = folder.join("scratch");
    fs::create_dir(&scratch).context("making a folder for the trial")?;
    let vm = machine
        .boot_with(guest, Accel::Kvm, &scratch, &folder.join("console.log"))
        .await?;
    answered(&vm).await
}

async fn answered(vm: &Vm) -> Result<()> {
    if vm.run("true").await?.status != 0 {
        bail!("a command in the guest failed");
    }
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
