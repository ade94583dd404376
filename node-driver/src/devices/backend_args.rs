//! Flags that choose the devices.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::backend::Devices;
use super::emulated::{Attach, Emulated, EmulatedError, RegionFlag};
use super::libndctl::LibNdctl;
use crate::known_zero::KnownZeros;

/// Flags that choose the devices.
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
    /// Whether it is persistent memory, which the host sees as well.
    #[must_use]
    pub fn is_real(&self) -> bool {
        match self.backend {
            Backend::Libndctl => true,
            Backend::Emulated => false,
        }
    }

    /// Opens the devices. Of real ones, `zeros` says which free bytes are known to be zero.
    ///
    /// # Errors
    /// The directory of the emulated backend is not named, or cannot be used.
    pub fn open(&self, zeros: KnownZeros) -> Result<Arc<dyn Devices>, EmulatedError> {
        match self.backend {
            Backend::Libndctl => Ok(Arc::new(LibNdctl::new(zeros))),
            Backend::Emulated => {
                let directory = self.emulated_dir.as_ref().ok_or(EmulatedError::NoDirectory)?;
                let emulated = Emulated::open(directory, &self.emulated_region, Attach::Loop)?;
                Ok(Arc::new(emulated))
            }
        }
    }
}
