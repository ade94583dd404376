//! What this process knows about the bytes of each volume. It is gone after a crash, on purpose: when in doubt, bytes are
//! zeroed again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use crate::devices::Location;

/// What this process knows about the bytes of a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ByteState {
    /// They may be anything.
    #[default]
    Unknown,
    /// Every byte there is zero, and had no block device since.
    Zero(Location),
    /// Some bytes there cannot be zeroed; all others are zero.
    Bad(Location),
    /// They were zero when the namespace was configured.
    Configured(Location),
}

/// The byte states of all volumes, by their ids. An id may come again: its state is forgotten with its namespace.
#[derive(Debug, Default)]
pub(in crate::volumes) struct ByteStates(Mutex<HashMap<String, ByteState>>);

impl ByteStates {
    pub(in crate::volumes) fn get(&self, volume: &str) -> ByteState {
        self.entries().get(volume).cloned().unwrap_or_default()
    }

    pub(in crate::volumes) fn set(&self, volume: &str, state: ByteState) {
        self.entries().insert(volume.into(), state);
    }

    /// What is known, for the last time.
    pub(in crate::volumes) fn take(&self, volume: &str) -> ByteState {
        self.entries().remove(volume).unwrap_or_default()
    }

    pub(in crate::volumes) fn forget(&self, volume: &str) {
        self.entries().remove(volume);
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, ByteState>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
