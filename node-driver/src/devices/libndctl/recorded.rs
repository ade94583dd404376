//! Which labels are on the modules as the kernel shows them, as far as this process has read them there.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::devices::inventory::Inventory;

/// The UUIDs and names in labels that were read on the modules, by what the kernel calls their namespaces. Only who writes a label
/// changes it there, so what was read once need not be read again for each user of a volume: label areas are read slowly, and
/// longer the more there is in them.
#[derive(Debug, Default)]
pub(super) struct Recorded(Mutex<HashMap<String, (Uuid, String)>>);

impl Recorded {
    /// Forgets all, and notes what a listing read.
    pub(super) fn replace(&self, listed: &Inventory) {
        let recorded = listed.namespaces.iter().filter(|namespace| namespace.is_recorded);
        *self.labels() = recorded
            .filter_map(|namespace| Some((namespace.device.clone(), (namespace.uuid?, namespace.name.clone()))))
            .collect();
    }

    /// Notes a label that was read on all its modules.
    pub(super) fn insert(&self, device: &str, uuid: Uuid, name: &str) {
        self.labels().insert(device.to_owned(), (uuid, name.to_owned()));
    }

    /// Forgets a label that is about to be written.
    pub(super) fn forget(&self, device: &str) {
        self.labels().remove(device);
    }

    /// Whether a label was read there. If not, it may be there all the same.
    pub(super) fn contains(&self, device: &str, uuid: Option<Uuid>, name: &str) -> bool {
        let labels = self.labels();
        let label = labels.get(device);
        label.is_some_and(|(recorded, named)| Some(*recorded) == uuid && named == name)
    }

    fn labels(&self) -> MutexGuard<'_, HashMap<String, (Uuid, String)>> {
        // Replaced whole, or by one insertion or removal, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: &str = "namespace0.0";

    #[test]
    fn another_name_is_another_label() {
        let (recorded, uuid) = (Recorded::default(), Uuid::from_u128(7));
        recorded.insert(DEVICE, uuid, "v.u");
        assert!(recorded.contains(DEVICE, Some(uuid), "v.u"));
        assert!(!recorded.contains(DEVICE, Some(uuid), "v") && !recorded.contains(DEVICE, None, "v.u"));
        assert!(!recorded.contains("namespace0.1", Some(uuid), "v.u"));
        recorded.forget(DEVICE);
        assert!(!recorded.contains(DEVICE, Some(uuid), "v.u"));
    }

    #[test]
    fn what_a_listing_does_not_show_is_forgotten() {
        let (recorded, uuid) = (Recorded::default(), Uuid::from_u128(7));
        recorded.insert(DEVICE, uuid, "v");
        recorded.replace(&Inventory::default());
        assert!(!recorded.contains(DEVICE, Some(uuid), "v"));
    }
}
