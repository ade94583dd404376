//! What the kernel prints of a machine that will never be up, through no fault of what is tested.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A busy host holds up an emulated machine for a minute at most.
const FOR_EVER: Duration = Duration::from_secs(3 * 60);
/// The trace of a processor that is stuck, in lines.
const TRACE: usize = 40;

/// The console of one boot: the end of a file that earlier boots wrote to as well.
#[derive(Debug, Clone)]
pub(super) struct Console {
    path: PathBuf,
    before: usize,
}

impl Console {
    /// What will be printed from now on.
    pub(super) fn from_now(path: &Path) -> Self {
        let before = fs::read(path).map_or(0, |bytes| bytes.len());
        Self {
            path: path.to_owned(),
            before,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Why this boot is to be given up and tried again; nothing while it may still come up, or failed for another reason.
    pub(super) fn given_up(&self) -> Option<String> {
        let printed = fs::read(&self.path).unwrap_or_default();
        let printed = String::from_utf8_lossy(printed.get(self.before..).unwrap_or_default());
        reason(&printed)
    }
}

fn reason(printed: &str) -> Option<String> {
    if died_before_init(printed) {
        return Some("the kernel died before init".to_owned());
    }
    locked_up(printed).then(|| format!("the kernel is locked up, since:\n{}", first_lockup(printed)))
}

/// Whether the kernel gave up by itself, and not because init ended.
fn died_before_init(printed: &str) -> bool {
    printed.contains("Kernel panic") && !printed.contains("Attempted to kill init")
}

/// Whether the kernel's watchdog (`kernel/watchdog.c`) has told of a processor that has been stuck for minutes.
fn locked_up(printed: &str) -> bool {
    let seconds = |line: &str| line.split_once("stuck for ")?.1.split_once("s!")?.0.parse().ok();
    printed
        .lines()
        .filter(|line| line.contains("BUG: soft lockup"))
        .filter_map(seconds)
        .any(|seconds| Duration::from_secs(seconds) >= FOR_EVER)
}

fn first_lockup(printed: &str) -> String {
    let lines = printed.lines().skip_while(|line| !line.contains("BUG: soft lockup"));
    lines.take(TRACE).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::{first_lockup, reason};

    #[test]
    fn only_a_kernel_that_dies_by_itself_is_booted_again() {
        let timer = "[    0.2] Kernel panic - not syncing: IO-APIC + timer doesn't work!  Boot with apic=debug";
        assert!(reason(timer).is_some());
        let init = "[    9.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100";
        assert_eq!(reason(init), None);
        assert_eq!(reason("qemu-system-x86_64: could not open tap"), None);
        assert_eq!(reason("login: "), None);
    }

    #[test]
    fn a_kernel_that_has_been_stuck_for_minutes_is_booted_again() {
        let short = "[   68.6] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [systemd:1]";
        assert_eq!(reason(short), None);
        let long = "[  252.6] watchdog: BUG: soft lockup - CPU#1 stuck for 198s! [systemd:1]";
        assert!(reason(&format!("{short}\n{long}")).is_some());
    }

    #[test]
    fn the_first_trace_is_told() {
        let printed = "boot\n[   68.6] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [systemd:1]\nCall Trace:";
        assert!(first_lockup(printed).starts_with("[   68.6]"));
        assert!(first_lockup(printed).ends_with("Call Trace:"));
    }
}
