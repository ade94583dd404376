//! What a run did, line by line; it outlives the run.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::harness::logs;

/// What a run did.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    begun: Instant,
}

impl Log {
    /// An empty log under the name of the seed.
    pub(super) fn begin(seed: u64) -> Result<Self> {
        let path = logs::empty_file(&format!("soak-{seed}.log"))?;
        let file = OpenOptions::new().append(true).open(&path);
        let file = file.with_context(|| format!("opening {}", path.display()))?;
        let begun = Instant::now();
        Ok(Self { path, file, begun })
    }

    /// Adds a line.
    pub(super) fn line(&mut self, text: &str) -> Result<()> {
        let seconds = self.begun.elapsed().as_secs_f64();
        writeln!(self.file, "{seconds:>8.1} {text}").with_context(|| format!("writing {}", self.path.display()))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
