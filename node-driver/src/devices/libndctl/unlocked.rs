//! Changes of single namespaces, for who holds the lock.

use super::{
    create, destroy, disable_unused, expendable, failed, listing, new_label, not_clear, not_found, not_ready,
    offer_next, ready_region, set_mark, wrong_stage,
};
use placement::RegionId;

use crate::devices::backend::NewNamespace;
use crate::devices::error::DeviceError;
use crate::devices::inventory::Inventory;
use crate::devices::mark::Stage;
use crate::devices::quarantine::Pieces;

/// Real persistent memory while nobody else in this process changes or lists it.
pub(super) struct Unlocked;

impl Pieces for Unlocked {
    fn inventory(&self) -> Result<Inventory, DeviceError> {
        listing::inventory()
    }

    fn make(&self, seen: &Inventory, new: &NewNamespace) -> Result<(), DeviceError> {
        let device = ready_region(seen, &new.region)?;
        let label = new_label(seen, &new.volume)?;
        let made = create(&device, &label, new.footprint).and_then(|made| offer_next(&made));
        made.map_err(|source| match source {
            ndctl::Error::Refused { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                DeviceError::NoSpace {
                    region: new.region.clone(),
                    footprint: new.footprint,
                }
            }
            other => failed("create", &new.volume, other.into()),
        })
    }

    fn mark(&self, seen: &Inventory, volume: &str, stage: Stage) -> Result<(), DeviceError> {
        let found = seen
            .to_mark(volume, stage)
            .map_err(|unclear| not_clear(volume, unclear))?;
        let (found, now) = found.ok_or_else(|| not_found(volume))?;
        if !now.may_become(stage) {
            return Err(wrong_stage("mark", volume, now));
        }
        set_mark(seen, found, volume, stage)
    }

    fn destroy(&self, seen: &Inventory, volume: &str) -> Result<(), DeviceError> {
        let found = expendable(seen, volume, "destroy")?;
        disable_unused(seen, found, volume)?;
        destroy(&found.device).map_err(|source| failed("destroy", volume, source.into()))?;
        check_gone(&found.region)
    }
}

/// The kernel forgets a namespace also if it could not delete its label: after a reboot it would be there again, over whatever
/// got its space. Such a region is not seen any more.
fn check_gone(region: &RegionId) -> Result<(), DeviceError> {
    let inventory = listing::inventory()?;
    match inventory.region(region) {
        Some(seen) if !seen.state.shows_namespaces() => Err(not_ready(region, &seen.message)),
        Some(_) | None => Ok(()),
    }
}
