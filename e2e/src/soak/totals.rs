//! The counts of all runs on this machine, in a file beside the caches.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::counts::Counts;
use crate::harness::cache;

const FILE: &str = "soak-vm.json";

/// What all runs have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Totals {
    /// Runs that were begun.
    pub(super) runs: u64,
    /// Their counts.
    #[serde(flatten)]
    pub(super) counts: Counts,
}

/// Adds to the totals, which several runs may do at a time, and returns them.
pub(super) fn add(more: Totals) -> Result<Totals> {
    add_in(&cache::folder()?, more)
}

fn add_in(folder: &Path, more: Totals) -> Result<Totals> {
    let lock = File::create(folder.join(format!("{FILE}.lock"))).context("opening the lock of the totals")?;
    lock.lock().context("locking the totals")?;
    let file = folder.join(FILE);
    let mut totals = match fs::read(&file) {
        Ok(text) => serde_json::from_slice(&text).with_context(|| format!("reading {}", file.display()))?,
        Err(_) => Totals::default(),
    };
    totals.runs += more.runs;
    totals.counts += more.counts;
    let unfinished = folder.join(format!("{FILE}.unfinished"));
    fs::write(&unfinished, serde_json::to_vec_pretty(&totals)?).context("writing the totals")?;
    fs::rename(&unfinished, &file).context("completing the totals")?;
    Ok(totals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_added_up() {
        let folder = tempfile::tempdir().unwrap();
        let counts = Counts {
            operations: 3,
            bytes_checked: 1 << 40,
            ..Counts::default()
        };
        let more = Totals { runs: 1, counts };
        assert_eq!(add_in(folder.path(), more).unwrap(), more);
        let both = add_in(folder.path(), more).unwrap();
        assert_eq!(
            (both.runs, both.counts.operations, both.counts.bytes_checked),
            (2, 6, 2 << 40)
        );
    }
}
