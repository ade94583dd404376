//! Volumes that were made before there were marks, and could not be marked yet.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Volumes whose namespaces have no mark although the cluster says that they are volumes, by their ids: they were made before
/// there were marks and are in use, or their id is too long to be marked. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct EarlierVolumes(Arc<Mutex<HashSet<String>>>);

impl EarlierVolumes {
    /// Whether the cluster says that the namespace with the name of `volume` is that volume.
    #[must_use]
    pub fn contains(&self, volume: &str) -> bool {
        self.volumes().contains(volume)
    }

    /// Notes that the cluster says so.
    pub fn insert(&self, volume: &str) {
        self.volumes().insert(volume.into());
    }

    pub(super) fn remove(&self, volume: &str) {
        self.volumes().remove(volume);
    }

    fn volumes(&self) -> MutexGuard<'_, HashSet<String>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
