//! Changes of single namespaces, for who holds the lock of the run.

use node_driver::devices::{DeviceError, Inventory, Location, NewNamespace, Pieces, Stage, free_uuid, mark_name};
use placement::Extent;

use super::driver::{Run, failed};
use super::faults::Call;
use super::label::Label;

impl Pieces for Run {
    fn inventory(&self) -> Result<Inventory, DeviceError> {
        self.list(Call::Listing)
    }

    fn make(&self, seen: &Inventory, new: &NewNamespace) -> Result<(), DeviceError> {
        self.make_known(seen, new).map(drop)
    }

    fn mark(&self, seen: &Inventory, volume: &str, stage: Stage) -> Result<(), DeviceError> {
        let found = self.asked_to_mark(seen, volume, stage)?;
        self.set_mark(seen, found, volume, stage)
    }

    fn destroy(&self, seen: &Inventory, volume: &str) -> Result<(), DeviceError> {
        self.destroy_zero(seen, volume, &[])
    }
}

impl Run {
    /// Makes a namespace, and returns those of its bytes that are known to be zero.
    pub(super) fn make_known(&self, seen: &Inventory, new: &NewNamespace) -> Result<Vec<Extent>, DeviceError> {
        seen.ready_region(&new.region)?;
        let label = free_uuid(&new.volume, |uuid| seen.has_uuid(uuid)).and_then(|uuid| {
            let name = mark_name(&new.volume, uuid, Stage::Making)?;
            Some(Label { name, uuid: Some(uuid) })
        });
        let label = label.ok_or_else(|| DeviceError::NoMark {
            name: new.volume.clone(),
        })?;
        let uuid = label.uuid.unwrap_or_default();
        let make = || {
            let serial = self.effect(|state| state.create(new, label))?;
            self.machine.state().complete_label(serial);
            Ok::<_, DeviceError>(())
        };
        let look = || self.look_at_labels(&new.region);
        let ((), zero) = self.zeros.create(&new.region, uuid, look, make)?;
        Ok(zero)
    }

    /// Destroys a namespace whose bytes are all zero, if that is where it is.
    pub(super) fn destroy_zero(&self, seen: &Inventory, volume: &str, zero: &[Location]) -> Result<(), DeviceError> {
        let found = self.asked(seen.existing_to_destroy(volume))?;
        let serial = self.disable_unused(seen, found, volume)?;
        let destroy = || {
            self.effect(|state| {
                let destroyed = state.destroy(serial);
                destroyed.map_err(|error| failed("destroy", volume, error))
            })?;
            self.machine.state().complete_destruction(serial);
            Ok::<_, DeviceError>(())
        };
        let zero = Inventory::erased(found, zero);
        let look = || self.look_at_labels(&found.region);
        let uuid = found.uuid.unwrap_or_default();
        self.zeros.destroy(&found.region, uuid, &zero, look, destroy)?;
        self.list(Call::ReadBack)?.check_gone(&found.region)
    }
}
