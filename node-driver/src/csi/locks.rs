//! One call at a time for each volume.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The volumes that a call works on now. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct VolumeLocks {
    busy: Arc<Mutex<HashSet<String>>>,
}

/// Holds one volume until it is dropped.
#[derive(Debug)]
pub struct VolumeLock {
    busy: Arc<Mutex<HashSet<String>>>,
    volume: String,
}

/// Another call works on the volume.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another call works on volume {volume}: try again when it is through")]
pub struct Busy {
    /// The volume.
    pub volume: String,
}

impl VolumeLocks {
    /// Takes a volume, without waiting.
    ///
    /// # Errors
    /// If somebody has it.
    pub fn take(&self, volume: &str) -> Result<VolumeLock, Busy> {
        // The set is whole at any time, so a panic elsewhere leaves nothing to repair.
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let volume = volume.to_owned();
        if !busy.insert(volume.clone()) {
            return Err(Busy { volume });
        }
        Ok(VolumeLock {
            busy: Arc::clone(&self.busy),
            volume,
        })
    }
}

impl Drop for VolumeLock {
    fn drop(&mut self) {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.remove(&self.volume);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_for_each_volume() {
        let locks = VolumeLocks::default();
        let first = locks.take("a").unwrap();
        assert_eq!(locks.clone().take("a").unwrap_err().volume, "a");
        assert!(locks.take("b").is_ok());
        drop(first);
        assert!(locks.take("a").is_ok());
    }
}
