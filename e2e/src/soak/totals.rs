//! The counts of all runs on this machine, in a file beside the caches.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::ops::AddAssign;
use std::path::Path;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::counts::Counts;
use crate::harness::cache;

/// What all runs of one kind have done.
pub(super) trait Total: AddAssign + Default + Serialize + DeserializeOwned {
    /// The name of its file.
    const FILE: &'static str;
}

/// What all runs in a virtual machine have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Totals {
    /// Runs that were begun.
    pub(super) runs: u64,
    /// Their counts.
    #[serde(flatten)]
    pub(super) counts: Counts,
}

impl Total for Totals {
    const FILE: &'static str = "soak-vm.json";
}

impl AddAssign for Totals {
    fn add_assign(&mut self, more: Self) {
        self.runs += more.runs;
        self.counts += more.counts;
    }
}

/// Adds to the totals, which several runs may do at a time, and returns them.
pub(super) fn add<T: Total>(more: T) -> Result<T> {
    add_in(&cache::folder()?, more)
}

fn add_in<T: Total>(folder: &Path, more: T) -> Result<T> {
    let name = T::FILE;
    let lock = File::create(folder.join(format!("{name}.lock"))).context("opening the lock of the totals")?;
    lock.lock().context("locking the totals")?;
    let file = folder.join(name);
    let mut totals = match fs::read(&file) {
        Ok(text) => serde_json::from_slice(&text).with_context(|| format!("reading {}", file.display()))?,
        Err(error) if error.kind() == ErrorKind::NotFound => T::default(),
        Err(error) => return Err(error).with_context(|| format!("reading {}", file.display())),
    };
    totals += more;
    let unfinished = folder.join(format!("{name}.unfinished"));
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
