//! The index, shared between tasks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crds::PmemVolume;
use tokio::sync::watch;

use super::state::Index;

/// The index, shared between tasks. It is locked for computations only, never across an await.
#[derive(Clone, Debug)]
pub struct SharedIndex {
    index: Arc<Mutex<Index>>,
    changes: watch::Sender<()>,
}

impl Default for SharedIndex {
    fn default() -> Self {
        Self {
            index: Arc::default(),
            changes: watch::Sender::new(()),
        }
    }
}

impl SharedIndex {
    /// Reads the index.
    pub fn read<R>(&self, read: impl FnOnce(&Index) -> R) -> R {
        read(&self.lock())
    }

    /// Changes the index and wakes all who wait for it.
    pub fn update<R>(&self, change: impl FnOnce(&mut Index) -> R) -> R {
        let result = change(&mut self.lock());
        self.changes.send_replace(());
        result
    }

    /// Waits until `find` returns something, and returns that.
    pub async fn wait_for<R>(&self, mut find: impl FnMut(&Index) -> Option<R>) -> R {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(found) = self.read(&mut find) {
                return found;
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Decides on a volume and reserves its space in one step, so that no two decisions count on the same bytes.
    ///
    /// # Errors
    /// The error of `decide`; nothing is reserved then.
    pub fn reserve<E>(
        &self,
        decide: impl FnOnce(&Index) -> Result<PmemVolume, E>,
    ) -> Result<(PmemVolume, Reservation), E> {
        let (volume, name) = self.update(|index| {
            let volume = decide(index)?;
            let name = volume.metadata.name.clone().unwrap_or_default();
            index.reserve(name.clone(), volume.clone());
            Ok((volume, name))
        })?;
        let index = self.clone();
        Ok((volume, Reservation { index, name }))
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl cluster::watch::SharedIndex for SharedIndex {
    type Index = Index;

    fn update(&self, change: impl FnOnce(&mut Index)) {
        Self::update(self, change);
    }
}

/// The reserved space of a volume that is being written. It ends when the watch shows the volume, or this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Reservation {
    index: SharedIndex,
    name: String,
}

impl Reservation {
    /// The volume was written, and is like this at the API server. Until the watch shows that, what it is reserved with counts:
    /// its node makes volumes in the order of the times that the API server gave them.
    pub fn written(&self, volume: &PmemVolume) {
        self.index.update(|index| index.reserved_is(&self.name, volume.clone()));
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.index.update(|index| index.release(&self.name));
    }
}
