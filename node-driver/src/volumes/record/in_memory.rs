//! Volumes without a cluster, for examples and tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crds::{PmemVolume, PmemVolumeStatus};

use super::{Record, RecordError};

/// Volumes without a cluster. Each change is visible at once.
#[derive(Debug, Default)]
pub struct InMemoryRecord {
    /// By name.
    volumes: Mutex<BTreeMap<String, Arc<PmemVolume>>>,
}

impl InMemoryRecord {
    /// Adds a volume or replaces the one of its name.
    pub fn put(&self, volume: PmemVolume) {
        let name = volume.metadata.name.clone().unwrap_or_default();
        self.volumes().insert(name, Arc::new(volume));
    }

    /// The volume of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<PmemVolume> {
        self.volumes().get(name).map(|volume| (**volume).clone())
    }

    /// Removes the volume of that name, as `kubectl delete` does.
    pub fn remove(&self, name: &str) {
        self.volumes().remove(name);
    }

    fn volumes(&self) -> MutexGuard<'_, BTreeMap<String, Arc<PmemVolume>>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves nothing half done.
        self.volumes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the volume, unless it is gone, and returns it.
    fn change(&self, volume: &PmemVolume, change: impl FnOnce(&mut PmemVolume)) -> PmemVolume {
        let name = volume.metadata.name.as_deref().unwrap_or_default();
        let mut changed = self.get(name).unwrap_or_else(|| volume.clone());
        change(&mut changed);
        if let Some(stored) = self.volumes().get_mut(name) {
            *stored = Arc::new(changed.clone());
        }
        changed
    }
}

impl Record for Arc<InMemoryRecord> {
    fn all(&self) -> Vec<Arc<PmemVolume>> {
        self.volumes().values().cloned().collect()
    }

    async fn write_status(&self, volume: &PmemVolume, status: PmemVolumeStatus) -> Result<PmemVolume, RecordError> {
        Ok(self.change(volume, |volume| volume.status = Some(status)))
    }

    fn node(&self) -> &'static str {
        "this"
    }

    async fn read(&self, name: &str) -> Result<Option<PmemVolume>, RecordError> {
        Ok(self.get(name))
    }

    async fn remove_finalizer(&self, volume: &PmemVolume) -> Result<(), RecordError> {
        let changed = self.change(volume, |volume| volume.metadata.finalizers = None);
        if changed.metadata.deletion_timestamp.is_some() {
            self.remove(changed.metadata.name.as_deref().unwrap_or_default());
        }
        Ok(())
    }
}
