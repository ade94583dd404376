//! One lock for each region.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use placement::RegionId;
use tokio::sync::OwnedMutexGuard;

type Lock = Arc<tokio::sync::Mutex<()>>;

/// One lock for each region, handed out in the order of asking.
#[derive(Debug, Default)]
pub(super) struct RegionLocks(Mutex<HashMap<RegionId, Lock>>);

impl RegionLocks {
    /// Waits for the lock of `region`.
    pub(super) async fn lock(&self, region: &RegionId) -> OwnedMutexGuard<()> {
        self.of(region).lock_owned().await
    }

    fn of(&self, region: &RegionId) -> Lock {
        // Entries are only ever added whole, so a panic elsewhere leaves nothing half done.
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(region.clone()).or_default())
    }
}
