//! Changes of single namespaces, for who holds the lock.

use placement::Extent;

use super::recorded::Recorded;
use super::{
    check_recorded, create, destroy, disable_unused, enable, failed, label_areas, left_disabled, listing, mark_name,
    new_label, no_mark, offer_next, rename,
};
use crate::devices::backend::NewNamespace;
use crate::devices::error::DeviceError;
use crate::devices::inventory::{Inventory, Location, Namespace};
use crate::devices::mark::Stage;
use crate::devices::quarantine::Pieces;
use crate::devices::uevents::Announced;
use crate::known_zero::KnownZeros;

/// Real persistent memory while nobody else in this process changes or lists it.
pub(super) struct Unlocked<'a> {
    pub(super) recorded: &'a Recorded,
    pub(super) zeros: &'a KnownZeros,
    pub(super) announced: &'a Announced,
}

impl Unlocked<'_> {
    /// Makes a namespace, and returns those of its bytes that are known to be zero.
    pub(super) fn make_known(&self, seen: &Inventory, new: &NewNamespace) -> Result<Vec<Extent>, DeviceError> {
        let region = seen.ready_region(&new.region)?;
        let label = new_label(seen, &new.volume)?;
        let failed = |source| match source {
            ndctl::Error::Refused { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                DeviceError::NoSpace {
                    region: new.region.clone(),
                    footprint: new.footprint,
                }
            }
            other => failed("create", &new.volume, other.into()),
        };
        let look = || label_areas::look(&region.device, self.announced);
        let make = || create(&region.device, &label, new.footprint).map_err(failed);
        let (device, zero) = self.zeros.create(&new.region, label.uuid, look, make)?;
        offer_next(&device).map_err(failed)?;
        Ok(zero)
    }

    /// Destroys a namespace whose bytes are all zero, if that is where it is.
    pub(super) fn destroy_zero(&self, seen: &Inventory, volume: &str, zero: &[Location]) -> Result<(), DeviceError> {
        let found = seen.existing_to_destroy(volume)?;
        disable_unused(seen, found, volume)?;
        let destroy = || destroy(&found.device).map_err(|source| failed("destroy", volume, source.into()));
        let zero = Inventory::erased(found, zero);
        match (found.uuid, seen.region(&found.region)) {
            (Some(uuid), Some(region)) => {
                let look = || label_areas::look(&region.device, self.announced);
                self.zeros.destroy(&found.region, uuid, &zero, look, destroy)?;
            }
            _ => destroy()?,
        }
        listing::inventory()?.check_gone(&found.region)
    }

    /// Writes the mark into the label, reads it back, and brings the namespace up again as it was, unless it is to be erased.
    pub(super) fn set_mark(
        &self,
        seen: &Inventory,
        found: &Namespace,
        volume: &str,
        stage: Stage,
    ) -> Result<(), DeviceError> {
        let uuid = found.uuid.ok_or_else(|| no_mark(volume))?;
        let name = mark_name(volume, uuid, stage)?;
        let region = seen.writable_region(&found.region)?;
        disable_unused(seen, found, volume)?;
        self.recorded.forget(&found.device);
        let look = || label_areas::look(&region.device, self.announced);
        let marked = self
            .zeros
            .mark(&found.region, uuid, look, || rename(&found.device, &name))
            .map_err(|source| failed("mark", volume, source.into()))
            .and_then(|()| check_recorded(&found.device, &name))
            .inspect(|()| self.recorded.insert(&found.device, uuid, name.as_str()));
        if !found.comes_up_as(stage) {
            return marked;
        }
        // Its user needs the block device also if the mark could not be written.
        enable(&found.device).map_err(left_disabled(&found.device))?;
        marked
    }
}

impl Pieces for Unlocked<'_> {
    fn inventory(&self) -> Result<Inventory, DeviceError> {
        listing::inventory()
    }

    fn make(&self, seen: &Inventory, new: &NewNamespace) -> Result<(), DeviceError> {
        self.make_known(seen, new).map(drop)
    }

    fn mark(&self, seen: &Inventory, volume: &str, stage: Stage) -> Result<(), DeviceError> {
        self.set_mark(seen, seen.existing_to_mark(volume, stage)?, volume, stage)
    }

    fn destroy(&self, seen: &Inventory, volume: &str) -> Result<(), DeviceError> {
        self.destroy_zero(seen, volume, &[])
    }
}
