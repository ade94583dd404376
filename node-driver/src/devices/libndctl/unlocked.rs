//! Changes of single namespaces, for who holds the lock.

use super::recorded::Recorded;
use super::{create, destroy, disable_unused, failed, listing, new_label, offer_next, set_mark};
use crate::devices::backend::NewNamespace;
use crate::devices::error::DeviceError;
use crate::devices::inventory::Inventory;
use crate::devices::mark::Stage;
use crate::devices::quarantine::Pieces;

/// Real persistent memory while nobody else in this process changes or lists it.
pub(super) struct Unlocked<'a>(pub(super) &'a Recorded);

impl Pieces for Unlocked<'_> {
    fn inventory(&self) -> Result<Inventory, DeviceError> {
        listing::inventory()
    }

    fn make(&self, seen: &Inventory, new: &NewNamespace) -> Result<(), DeviceError> {
        let region = seen.ready_region(&new.region)?;
        let label = new_label(seen, &new.volume)?;
        let made = create(&region.device, &label, new.footprint).and_then(|made| offer_next(&made));
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
        set_mark(self.0, seen, seen.existing_to_mark(volume, stage)?, volume, stage)
    }

    fn destroy(&self, seen: &Inventory, volume: &str) -> Result<(), DeviceError> {
        let found = seen.existing_to_destroy(volume)?;
        disable_unused(seen, found, volume)?;
        destroy(&found.device).map_err(|source| failed("destroy", volume, source.into()))?;
        listing::inventory()?.check_gone(&found.region)
    }
}
