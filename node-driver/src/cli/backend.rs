//! The devices that the command line asks for.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, ValueEnum};
use node_driver::devices::{Attach, Devices, Emulated, LibNdctl, RegionFlag};

#[derive(Debug, Args)]
pub struct BackendArgs {
    /// What to work on: persistent memory, or files that only look like it.
    #[arg(long, value_enum, default_value_t = Backend::Libndctl)]
    backend: Backend,
    /// Directory of the emulated backend. Volumes in it survive restarts.
    #[arg(long, required_if_eq("backend", "emulated"))]
    emulated_dir: Option<PathBuf>,
    /// A region to emulate in a new directory: SIZE or SIZE@NUMA. May be given several times.
    #[arg(long, value_name = "SIZE[@NUMA]", default_values = ["512Mi@0", "512Mi@1"])]
    emulated_region: Vec<RegionFlag>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Backend {
    Libndctl,
    Emulated,
}

impl BackendArgs {
    /// Opens the devices.
    pub fn open(&self) -> anyhow::Result<Arc<dyn Devices>> {
        match self.backend {
            Backend::Libndctl => Ok(Arc::new(LibNdctl::new())),
            Backend::Emulated => {
                let directory = self.emulated_dir.as_ref().context("set --emulated-dir")?;
                Ok(Arc::new(Emulated::open(
                    directory,
                    &self.emulated_region,
                    Attach::Loop,
                )?))
            }
        }
    }
}
