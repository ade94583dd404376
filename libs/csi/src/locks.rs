//! One call at a time for each volume.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The volumes that a call works on now. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct VolumeLocks(Arc<Mutex<HashSet<String>>>);

/// Keeps other calls from one volume until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct VolumeLock {
    locks: VolumeLocks,
    volume: String,
}

/// Another call works on the volume: ABORTED ("Operation pending for volume" in the CSI specification), upon which the
/// caller tries again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another call is at work on volume {volume}: try again")]
pub struct Busy {
    /// The id of the volume.
    pub volume: String,
}

impl VolumeLocks {
    /// Takes a volume, without waiting.
    ///
    /// # Errors
    /// If another call has it.
    pub fn take(&self, volume: &str) -> Result<VolumeLock, Busy> {
        let volume = volume.to_owned();
        if !self.busy().insert(volume.clone()) {
            return Err(Busy { volume });
        }
        Ok(VolumeLock {
            locks: self.clone(),
            volume,
        })
    }

    /// The set is whole at any time, so a panic elsewhere leaves nothing to repair.
    fn busy(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for VolumeLock {
    fn drop(&mut self) {
        self.locks.busy().remove(&self.volume);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_at_a_time_for_each_volume() {
        let locks = VolumeLocks::default();
        let first = locks.take("a").unwrap();
        assert_eq!(locks.clone().take("a").unwrap_err().volume, "a");
        assert!(locks.take("b").is_ok());
        drop(first);
        assert!(locks.take("a").is_ok());
    }
}
