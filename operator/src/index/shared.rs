//! The index, shared between tasks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crds::PmemVolume;
use tokio::sync::watch;

use super::{Index, Kept};

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
    /// Looks something up.
    pub fn read<R>(&self, look: impl FnOnce(&Index) -> R) -> R {
        look(&self.lock())
    }

    /// Changes something and wakes those who wait.
    pub fn update<R>(&self, change: impl FnOnce(&mut Index) -> R) -> R {
        let result = change(&mut self.lock());
        self.changes.send_replace(());
        result
    }

    /// Waits until `look` finds something.
    pub async fn wait_for<R>(&self, mut look: impl FnMut(&Index) -> Option<R>) -> R {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(found) = self.read(&mut look) {
                return found;
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Takes in an object that was added or changed.
    pub fn apply<K: Kept>(&self, object: K) {
        self.update(|index| index.apply(object));
    }

    /// Decides on a volume and takes its space in one step, so that no two decisions count on the same bytes.
    ///
    /// # Errors
    /// Whatever `decide` says; nothing is taken then.
    pub fn assume<E>(
        &self,
        decide: impl FnOnce(&Index) -> Result<PmemVolume, E>,
    ) -> Result<(PmemVolume, Assumption), E> {
        let (volume, name) = self.update(|index| {
            let volume = decide(index)?;
            let name = volume.metadata.name.clone().unwrap_or_default();
            index.assume(name.clone(), volume.clone());
            Ok((volume, name))
        })?;
        let index = self.clone();
        Ok((volume, Assumption { index, name }))
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds the space of a volume that is being written, until the watch shows the volume or this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Assumption {
    index: SharedIndex,
    name: String,
}

impl Drop for Assumption {
    fn drop(&mut self) {
        self.index.update(|index| index.give_up(&self.name));
    }
}
