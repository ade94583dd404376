//! One lock for each key.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

type Lock = Arc<tokio::sync::Mutex<()>>;

/// One lock for each key, handed out in the order of asking.
#[derive(Debug)]
pub(super) struct Locks<K>(Mutex<Held<K>>);

#[derive(Debug)]
struct Held<K> {
    locks: HashMap<K, Lock>,
    /// How many there are before those that nobody holds are looked for.
    enough: usize,
}

impl<K> Default for Locks<K> {
    fn default() -> Self {
        Self(Mutex::new(Held {
            locks: HashMap::new(),
            enough: 0,
        }))
    }
}

impl<K: Eq + Hash> Locks<K> {
    /// Waits for the lock of `key`.
    pub(super) async fn lock(&self, key: K) -> OwnedMutexGuard<()> {
        self.of(key).lock_owned().await
    }

    /// Whether somebody has the lock of `key` now.
    pub(super) fn is_held(&self, key: &K) -> bool {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.locks.get(key).is_some_and(|lock| lock.try_lock().is_err())
    }

    fn of(&self, key: K) -> Lock {
        // Entries are added and removed whole, so a panic elsewhere leaves nothing half done.
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.locks.len() >= held.enough {
            held.locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            held.enough = 2 * held.locks.len() + 1;
        }
        Arc::clone(held.locks.entry(key).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn locks_that_nobody_holds_do_not_stay() {
        let locks = Locks::default();
        let held = locks.lock(0).await;
        for key in 1..1000 {
            drop(locks.lock(key).await);
        }
        assert!(locks.0.lock().unwrap().locks.len() <= 4);
        assert!(locks.of(0).try_lock().is_err());
        drop(held);
        assert!(locks.of(0).try_lock().is_ok());
    }
}
