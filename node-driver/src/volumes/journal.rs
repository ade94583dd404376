//! What this process did with the bytes of each volume.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crds::PmemVolume;

use super::done::Done;

/// What this process did with the bytes of each volume. Volumes are told apart by UID: a name may come again.
#[derive(Debug, Default)]
pub(super) struct Journal(Mutex<HashMap<String, Done>>);

impl Journal {
    pub(super) fn of(&self, volume: &PmemVolume) -> Done {
        self.entries().get(key(volume)).cloned().unwrap_or_default()
    }

    pub(super) fn set(&self, volume: &PmemVolume, done: Done) {
        self.entries().insert(key(volume).into(), done);
    }

    pub(super) fn forget(&self, volume: &PmemVolume) {
        self.entries().remove(key(volume));
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Done>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(volume: &PmemVolume) -> &str {
    let meta = &volume.metadata;
    meta.uid.as_deref().or(meta.name.as_deref()).unwrap_or_default()
}
