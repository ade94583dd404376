//! Changes of single namespaces, for who holds the lock of the run.

use node_driver::devices::{DeviceError, Inventory, NewNamespace, Pieces, Stage, free_uuid, mark_name};

use super::driver::{Run, failed};
use super::faults::Call;
use super::label::Label;

impl Pieces for Run {
    fn inventory(&self) -> Result<Inventory, DeviceError> {
        self.list(Call::Listing)
    }

    fn make(&self, seen: &Inventory, new: &NewNamespace) -> Result<(), DeviceError> {
        seen.ready_region(&new.region)?;
        let label = free_uuid(&new.volume, |uuid| seen.has_uuid(uuid)).and_then(|uuid| {
            let name = mark_name(&new.volume, uuid, Stage::Making)?;
            Some(Label { name, uuid: Some(uuid) })
        });
        let label = label.ok_or_else(|| DeviceError::NoMark {
            name: new.volume.clone(),
        })?;
        let serial = self.effect(|state| state.create(new, label))?;
        self.machine.state().complete_label(serial);
        Ok(())
    }

    fn mark(&self, seen: &Inventory, volume: &str, stage: Stage) -> Result<(), DeviceError> {
        let found = self.asked_to_mark(seen, volume, stage)?;
        self.set_mark(seen, found, volume, stage)
    }

    fn destroy(&self, seen: &Inventory, volume: &str) -> Result<(), DeviceError> {
        let found = self.asked(seen.existing_to_destroy(volume))?;
        let serial = self.disable_unused(seen, found, volume)?;
        self.effect(|state| {
            let destroyed = state.destroy(serial);
            destroyed.map_err(|error| failed("destroy", volume, error))
        })?;
        self.machine.state().complete_destruction(serial);
        self.list(Call::ReadBack)?.check_gone(&found.region)
    }
}
