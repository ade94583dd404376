//! What this driver itself wrote, until its watch shows it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cluster::version::is_older;
use crds::PmemVolume;
use kube::ResourceExt;

/// The volumes as the API server returned them last, until the watch shows versions that are as new.
///
/// Without it, a watch that is behind shows a volume as one that gets its namespace still, while that namespace was made, used
/// and is being erased: its bytes would be counted twice.
#[derive(Clone, Default)]
pub(super) struct Written(Arc<Mutex<BTreeMap<String, Arc<PmemVolume>>>>);

impl Written {
    /// Notes what the API server returned.
    pub(super) fn note(&self, volume: &PmemVolume) {
        let mut volumes = self.volumes();
        let noted = volumes.get(&volume.name_any());
        if noted.is_none_or(|noted| !is_newer(noted, volume)) {
            volumes.insert(volume.name_any(), Arc::new(volume.clone()));
        }
    }

    /// Each of `shown`, or what was noted of the same object since then. The rest of what was noted is forgotten.
    pub(super) fn newest(&self, mut shown: Vec<Arc<PmemVolume>>) -> Vec<Arc<PmemVolume>> {
        let mut volumes = self.volumes();
        if volumes.is_empty() {
            return shown;
        }
        let mut noted = std::mem::take(&mut *volumes);
        for volume in &mut shown {
            if let Some(newer) = noted.remove(&volume.name_any()).filter(|noted| is_newer(noted, volume)) {
                volumes.insert(newer.name_any(), Arc::clone(&newer));
                *volume = newer;
            }
        }
        shown
    }

    fn volumes(&self) -> MutexGuard<'_, BTreeMap<String, Arc<PmemVolume>>> {
        // At worst, a panic in between leaves something out, as if it had not been noted.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_newer(one: &PmemVolume, other: &PmemVolume) -> bool {
    one.metadata.uid == other.metadata.uid && is_older(&other.metadata, &one.metadata)
}
