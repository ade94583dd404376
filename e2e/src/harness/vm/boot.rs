//! Booting a machine: with KVM or without, and once more if the kernel dies before init.

use std::fs;
use std::path::Path;

use anyhow::Result;

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
    /// On a busy host, a check of the kernel that depends on time can fail in an emulated machine and end it. That has
    /// nothing to do with what is tested, and nothing was written yet: such a boot is tried once more.
    /// An error has the end of the console.
    pub(crate) async fn boot(&self, guest: &Guest, folder: &Path, console: &Path) -> Result<Vm> {
        let accel = best_accel(guest).await?;
        let before = read(console).len();
        let first = Vm::start(self, guest, accel, folder, console).await;
        match first {
            Err(error) if died_before_init(read(console).get(before..).unwrap_or_default()) => {
                eprintln!(
                    "  the kernel of {} died before init, it is booted once more: {error:#}",
                    self.name
                );
                Vm::start(self, guest, accel, folder, console).await
            }
            outcome => outcome,
        }
    }
}

/// The console so far; empty when there is none.
fn read(console: &Path) -> Vec<u8> {
    fs::read(console).unwrap_or_default()
}

/// Whether the console shows that the kernel gave up by itself, and not because init ended.
fn died_before_init(console: &[u8]) -> bool {
    let printed = String::from_utf8_lossy(console);
    printed.contains("Kernel panic") && !printed.contains("Attempted to kill init")
}

#[cfg(test)]
mod tests {
    use super::died_before_init;

    #[test]
    fn only_a_kernel_that_dies_by_itself_is_booted_again() {
        let timer = b"[    0.2] Kernel panic - not syncing: IO-APIC + timer doesn't work!  Boot with apic=debug";
        assert!(died_before_init(timer));
        let init = b"[    9.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100";
        assert!(!died_before_init(init));
        assert!(!died_before_init(b"qemu-system-x86_64: could not open tap"));
        assert!(!died_before_init(b"login: "));
    }
}
