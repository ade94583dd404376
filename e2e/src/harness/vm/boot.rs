//! Booting a machine: with KVM or without, and once more if its kernel gives up.

use std::path::Path;

use anyhow::Result;

use super::console::Console;
use super::machine::Machine;
use super::running::Vm;
use super::trial::best_accel;
use crate::harness::guest::Guest;

impl Machine {
    /// Starts the machine and waits until commands can run in it.
    ///
    /// The bytes of its NVDIMMs are files in `folder`: they are made when missing, and a machine booted again in the same
    /// folder finds what was written. The console goes to the end of the file `console`.
    ///
    /// In an emulated machine a check of the kernel that depends on time can fail and end it, and a timer can be lost,
    /// after which its processors are stuck for ever. That has nothing to do with what is tested: such a boot is tried
    /// once more. An error has the end of the console.
    pub(crate) async fn boot(&self, guest: &Guest, folder: &Path, console: &Path) -> Result<Vm> {
        let accel = best_accel(guest).await?;
        let this_boot = Console::from_now(console);
        let first = Vm::start(self, guest, accel, folder, this_boot.clone()).await;
        match (first, this_boot.given_up()) {
            (Err(error), Some(_)) => {
                eprintln!("  {} is booted once more: {error:#}", self.name);
                Vm::start(self, guest, accel, folder, Console::from_now(console)).await
            }
            (outcome, _) => outcome,
        }
    }
}
