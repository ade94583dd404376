//! Namespaces that should be enabled and are not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crds::RegionState;
use placement::RegionId;

use super::error::DeviceError;
use super::inventory::{Inventory, Namespace, Region};

/// The volumes whose namespaces this process has to enable: those that a run that was killed may have left disabled, and those
/// that it could not enable itself. What an administrator disables while it runs is not among them.
#[derive(Debug, Default)]
pub struct LeftDisabled(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The regions whose namespaces were looked at since they are there; none before the first look.
    regions: Option<BTreeSet<RegionId>>,
    volumes: BTreeMap<String, Tried>,
}

/// Whether this process tried to enable a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// Not since it was found disabled.
    Never,
    /// And it failed.
    InVain,
}

impl LeftDisabled {
    /// Notes what is disabled in regions that are seen for the first time, or again: when a region is enabled, the kernel enables
    /// what is in it. Every listing has to be passed to this, whatever it was made for.
    pub fn see(&self, inventory: &Inventory) {
        let mut known = self.known();
        let Known { regions, volumes } = &mut *known;
        let regions = regions.get_or_insert_default();
        regions.retain(|region| inventory.region(region).is_some_and(is_there));
        let shown = inventory
            .regions
            .iter()
            .filter(|region| region.state.shows_namespaces());
        let new: Vec<&RegionId> = shown
            .map(|region| &region.id)
            .filter(|region| !regions.contains(region))
            .collect();
        for (_, volume) in inventory.disabled().filter(|(found, _)| new.contains(&&found.region)) {
            volumes.entry(volume.into()).or_insert(Tried::Never);
        }
        regions.extend(new.into_iter().cloned());
    }

    /// Notes what became of the namespace of `volume`, and passes it on.
    ///
    /// # Errors
    /// `result`.
    pub fn note(&self, volume: &str, result: Result<(), DeviceError>) -> Result<(), DeviceError> {
        match result {
            Ok(()) => _ = self.known().volumes.remove(volume),
            // A mark that fails is written to a namespace that was disabled for it, and that somebody may want again.
            Err(DeviceError::LeftDisabled { .. } | DeviceError::Operation { .. } | DeviceError::NotRecorded { .. }) => {
                self.known().volumes.insert(volume.into(), Tried::InVain);
            }
            Err(_) => {}
        }
        result
    }

    /// Whether there is nothing to be brought up, whatever the devices show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let known = self.known();
        known.regions.is_some() && known.volumes.is_empty()
    }

    /// The namespaces to bring up, with the ids of their volumes. What somebody else enabled is forgotten; what is not shown may
    /// be in a region that is away.
    #[must_use]
    pub fn to_bring_up<'a>(&self, inventory: &'a Inventory) -> Vec<(&'a Namespace, &'a str, Tried)> {
        let volumes = &mut self.known().volumes;
        volumes.retain(|volume, _| match inventory.of_volume(volume) {
            Ok(Some((found, _))) => found.is_disabled(),
            Ok(None) | Err(_) => true,
        });
        let disabled = inventory.disabled();
        disabled
            .filter_map(|(found, volume)| Some((found, volume, *volumes.get(volume)?)))
            .collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Regions are noted after what is in them, so a panic elsewhere leaves nothing unseen.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether its namespaces may be as they were left: one that cannot be read now is.
fn is_there(region: &Region) -> bool {
    region.state != RegionState::Disabled
}
