//! How often a volume was tried in vain where it is to be made.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// With the delays between them (`retry.rs`), half a minute. What lasts longer is no accident: a module whose labels cannot be
/// written, a node whose memory has no room for a map of pages.
const ENOUGH: u32 = 7;

/// The failures in a row of each volume, by its id.
#[derive(Debug, Default)]
pub(super) struct Tries(Mutex<HashMap<String, u32>>);

impl Tries {
    /// Notes a failure. True if it is time to try elsewhere, where counting begins anew.
    pub(super) fn failed(&self, volume: &str) -> bool {
        let mut entries = self.entries();
        let failures = entries.entry(volume.into()).or_default();
        *failures += 1;
        let is_enough = *failures >= ENOUGH;
        if is_enough {
            entries.remove(volume);
        }
        is_enough
    }

    pub(super) fn succeeded(&self, volume: &str) {
        self.entries().remove(volume);
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
