//! Namespaces that this process left disabled: it could not enable them again.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::backend::BringUp;
use super::error::DeviceError;
use super::inventory::{Inventory, Namespace};

/// The volumes whose namespaces this process should have enabled, and could not: at its start, or when it wrote a mark. What
/// an administrator disables is not among them.
#[derive(Debug, Default)]
pub struct LeftDisabled(Mutex<BTreeSet<String>>);

impl LeftDisabled {
    /// Notes what became of the namespace of `volume`, and passes it on.
    ///
    /// # Errors
    /// `result`.
    pub fn note(&self, volume: &str, result: Result<(), DeviceError>) -> Result<(), DeviceError> {
        match result {
            Ok(()) => _ = self.volumes().remove(volume),
            // A mark that fails is written to a namespace that was disabled for it, and that somebody may want again.
            Err(DeviceError::LeftDisabled { .. } | DeviceError::Operation { .. } | DeviceError::NotRecorded { .. }) => {
                self.volumes().insert(volume.into());
            }
            Err(_) => {}
        }
        result
    }

    /// Whether there is nothing to be brought up, whatever the devices show.
    #[must_use]
    pub fn is_done(&self, which: BringUp) -> bool {
        which == BringUp::LeftDisabled && self.volumes().is_empty()
    }

    /// The namespaces to bring up, with the ids of their volumes.
    #[must_use]
    pub fn to_bring_up<'a>(&self, which: BringUp, inventory: &'a Inventory) -> Vec<(&'a Namespace, &'a str)> {
        match which {
            BringUp::All => inventory.disabled().collect(),
            BringUp::LeftDisabled => self.still(inventory),
        }
    }

    /// What somebody else enabled is forgotten; what is not shown may be in a region that is away.
    fn still<'a>(&self, inventory: &'a Inventory) -> Vec<(&'a Namespace, &'a str)> {
        let mut volumes = self.volumes();
        volumes.retain(|volume| match inventory.of_volume(volume) {
            Ok(Some((found, _))) => found.is_disabled(),
            Ok(None) | Err(_) => true,
        });
        let disabled = inventory.disabled();
        disabled.filter(|(_, volume)| volumes.contains(*volume)).collect()
    }

    fn volumes(&self) -> MutexGuard<'_, BTreeSet<String>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
