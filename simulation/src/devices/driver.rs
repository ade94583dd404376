//! The devices as one run of the driver has them: the order of effects is that of `node_driver::devices::LibNdctl`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use node_driver::devices::{
    DeviceError, Devices, EarlierVolume, Inventory, LeftDisabled, Location, Namespace, NamespaceMode, NewNamespace,
    RawBytes, Source, Stage, VolumeDevice, cover, mark_name,
};
use node_driver::known_zero::{KnownZeros, Look};
use placement::{Bytes, Extent, Mode, RegionId};

use super::bytes::ModelBytes;
use super::faults::Call;
use super::fuse::{Blown, Fuse};
use super::label::Label;
use super::machine::Machine;
use super::node_file::NodeFile;
use super::state::State;
use super::tag::Serial;

/// What one run of the driver has of a machine.
pub(super) struct Run {
    pub(super) machine: Machine,
    pub(super) fuse: Fuse,
    /// Locked while devices change and while they are listed, as in a real driver.
    changes: Mutex<()>,
    left_disabled: LeftDisabled,
    pub(super) zeros: KnownZeros,
}

impl Run {
    pub(super) fn new(machine: Machine, fuse: Fuse) -> Self {
        let file = NodeFile {
            machine: machine.clone(),
            fuse: fuse.clone(),
        };
        Self {
            zeros: KnownZeros::kept_in(file),
            machine,
            fuse,
            changes: Mutex::new(()),
            left_disabled: LeftDisabled::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        // It guards no data.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the machine, unless this run was killed before.
    pub(super) fn effect<T>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, DeviceError>,
    ) -> Result<T, DeviceError> {
        let done = self.fuse.effect(|| change(&mut self.machine.state()));
        done.unwrap_or_else(|blown| Err(killed(blown)))
    }

    pub(super) fn list(&self, call: Call) -> Result<Inventory, DeviceError> {
        self.fuse.check().map_err(killed)?;
        let mut state = self.machine.state();
        if let Some(refused) = state.faults.refuses(call) {
            return Err(DeviceError::Listing(refused.into()));
        }
        let listed = state.inventory();
        drop(state);
        self.left_disabled.see(&listed);
        if call == Call::Listing {
            listed.show_to(&self.zeros);
        }
        Ok(listed)
    }

    pub(super) fn look_at_labels(&self, region: &RegionId) -> Option<Look> {
        self.fuse.check().ok()?;
        self.machine.state().look_at_labels(region)
    }

    /// How many bytes of a namespace an erasure made zero that was interrupted.
    fn erased(&self, found: &Namespace) -> Bytes {
        let look = || self.look_at_labels(&found.region);
        self.zeros
            .erased(&found.region, found.uuid.unwrap_or_default(), found.extent, look)
    }

    fn serial(&self, found: &Namespace) -> Result<Serial, DeviceError> {
        let serial = self.machine.state().of_device(&found.device);
        serial.ok_or_else(|| DeviceError::NotFound {
            name: found.name.clone(),
        })
    }

    /// As [`asked`](Self::asked), for a mark. A call of the kubelet may have marked a volume as in use since somebody looked.
    pub(super) fn asked_to_mark<'a>(
        &self,
        seen: &'a Inventory,
        volume: &str,
        stage: Stage,
    ) -> Result<&'a Namespace, DeviceError> {
        let found = seen.existing_to_mark(volume, stage);
        match found {
            Err(DeviceError::WrongStage {
                stage: Stage::InUse, ..
            }) if stage == Stage::HandedOut => found,
            found => self.asked(found),
        }
    }

    /// Remembers it if the driver asks for what the stage of a namespace does not allow.
    pub(super) fn asked<'a>(&self, found: Result<&'a Namespace, DeviceError>) -> Result<&'a Namespace, DeviceError> {
        if let Err(DeviceError::WrongStage { action, name, stage }) = &found {
            let what = format!("asked to {action} volume {name}, which is {stage}");
            self.machine.state().violated(what);
        }
        found
    }

    /// Disables a namespace that nobody uses, in a region that may be written to.
    pub(super) fn disable_unused(
        &self,
        seen: &Inventory,
        found: &Namespace,
        volume: &str,
    ) -> Result<Serial, DeviceError> {
        seen.writable_region(&found.region)?;
        let serial = self.serial(found)?;
        self.effect(|state| state.disable(serial, found, volume))?;
        Ok(serial)
    }

    /// Writes the mark, reads it back, and brings the namespace up again, unless it is to be erased.
    pub(super) fn set_mark(
        &self,
        seen: &Inventory,
        found: &Namespace,
        volume: &str,
        stage: Stage,
    ) -> Result<(), DeviceError> {
        let label = label_of(found, volume, stage)?;
        let serial = self.disable_unused(seen, found, volume)?;
        let (uuid, look) = (found.uuid.unwrap_or_default(), || self.look_at_labels(&found.region));
        let marked = self
            .zeros
            .mark(&found.region, uuid, look, || self.write_label(serial, &label, volume))
            .and_then(|()| self.check_recorded(found));
        if !found.comes_up_as(stage) {
            return marked;
        }
        self.enable(found)?;
        marked
    }

    fn enable(&self, found: &Namespace) -> Result<(), DeviceError> {
        let serial = self.serial(found)?;
        self.effect(|state| match state.faults.refuses(Call::Enable) {
            None => {
                state.enable(serial);
                Ok(())
            }
            Some(refused) => Err(DeviceError::LeftDisabled {
                device: found.device.clone(),
                source: refused.into(),
            }),
        })
    }

    fn write_label(&self, serial: Serial, label: &Label, volume: &str) -> Result<(), DeviceError> {
        self.effect(|state| state.write_label(serial, label))
            .map_err(|error| failed_at("mark", volume, error))?;
        self.machine.state().complete_label(serial);
        Ok(())
    }

    fn check_recorded(&self, found: &Namespace) -> Result<(), DeviceError> {
        let now = self.list(Call::ReadBack)?;
        let mut all = now.namespaces.iter();
        match all.find(|other| other.device == found.device) {
            Some(now) if now.is_recorded => Ok(()),
            Some(_) | None => Err(DeviceError::NotRecorded {
                device: found.device.clone(),
            }),
        }
    }
}

impl Devices for Run {
    fn backend(&self) -> &'static str {
        "simulation"
    }

    fn inventory(&self) -> Result<Inventory, DeviceError> {
        let _lock = self.lock();
        self.list(Call::Listing)
    }

    fn bring_up(&self) -> Result<(), DeviceError> {
        let _lock = self.lock();
        if self.left_disabled.is_empty() {
            return Ok(());
        }
        let inventory = self.list(Call::Listing)?;
        for (found, volume, _tried) in self.left_disabled.to_bring_up(&inventory) {
            let enabled = self.enable(found);
            let _stays = self.left_disabled.note(volume, enabled);
        }
        Ok(())
    }

    fn find_volume(&self, volume: &str) -> Result<Option<VolumeDevice>, DeviceError> {
        Devices::inventory(self)?.find_volume(volume, |_| true)
    }

    fn create(&self, new: &NewNamespace) -> Result<Vec<Extent>, DeviceError> {
        let _lock = self.lock();
        let seen = self.list(Call::Listing)?;
        if seen.is_to_clear(&new.region) {
            cover(self, &new.region)?;
        }
        self.make_known(&seen, new)
    }

    fn unknown(&self, region: &RegionId) -> Result<Vec<Extent>, DeviceError> {
        let _lock = self.lock();
        let seen = self.list(Call::Listing)?;
        let found = seen.ready_region(region)?;
        let zero = self.zeros.free(region, || self.look_at_labels(region));
        Ok(seen.unknown(found, &zero))
    }

    fn note_erased(&self, volume: &str, size: Bytes) -> Result<(), DeviceError> {
        let _lock = self.lock();
        let seen = self.list(Call::Listing)?;
        let found = self.asked(seen.existing_to_erase(volume))?;
        let part = Extent::new(found.extent.start, size);
        let look = || self.look_at_labels(&found.region);
        self.zeros
            .note_erased(&found.region, found.uuid.unwrap_or_default(), part, look);
        Ok(())
    }

    fn quarantine(&self, region: &RegionId) -> Result<(), DeviceError> {
        let _lock = self.lock();
        cover(self, region)
    }

    fn mark(&self, volume: &str, stage: Stage) -> Result<(), DeviceError> {
        let _lock = self.lock();
        let seen = self.list(Call::Listing)?;
        let marked = node_driver::devices::Pieces::mark(self, &seen, volume, stage);
        self.left_disabled.note(volume, marked)
    }

    fn mark_earlier(&self, earlier: &EarlierVolume, stage: Stage) -> Result<(), DeviceError> {
        let _lock = self.lock();
        let seen = self.list(Call::Listing)?;
        let found = seen.existing_earlier(earlier)?;
        let marked = self.set_mark(&seen, found, &earlier.volume, stage);
        self.left_disabled.note(&earlier.volume, marked)?;
        if stage == Stage::InUse && found.mode == NamespaceMode::Raw {
            return self.left_disabled.note(&earlier.volume, self.enable(found));
        }
        Ok(())
    }

    fn open_raw(&self, volume: &str) -> Result<Box<dyn RawBytes>, DeviceError> {
        let _lock = self.lock();
        let seen = self.list(Call::Listing)?;
        let found = self.asked(seen.existing_to_open_raw(volume))?;
        let serial = self.disable_unused(&seen, found, volume)?;
        let handle = self.effect(|state| Ok(state.open_raw(serial, &self.fuse)))?;
        Ok(Box::new(ModelBytes {
            machine: self.machine.clone(),
            fuse: self.fuse.clone(),
            volume: volume.to_owned(),
            serial,
            handle,
            size: found.extent.size,
            erased: self.erased(found),
        }))
    }

    fn configure(&self, volume: &str, mode: Mode) -> Result<(), DeviceError> {
        let _lock = self.lock();
        let seen = self.list(Call::Listing)?;
        let found = self.asked(seen.existing_to_configure(volume))?;
        let serial = self.disable_unused(&seen, found, volume)?;
        self.effect(|state| {
            state.write_info(serial, mode);
            Ok(())
        })?;
        self.effect(|state| {
            state.enable(serial);
            Ok(())
        })
    }

    fn destroy(&self, volume: &str, zero: &[Location]) -> Result<(), DeviceError> {
        let _lock = self.lock();
        let seen = self.list(Call::Listing)?;
        self.destroy_zero(&seen, volume, zero)
    }
}

pub(super) fn killed(blown: Blown) -> DeviceError {
    DeviceError::Listing(blown.into())
}

pub(super) fn failed(action: &'static str, name: &str, source: impl Into<Source>) -> DeviceError {
    DeviceError::Operation {
        action,
        name: name.to_owned(),
        source: source.into(),
    }
}

/// A refusal of the kernel, with the name of what it was about.
fn failed_at(action: &'static str, volume: &str, error: DeviceError) -> DeviceError {
    match error {
        DeviceError::Operation { source, .. } => failed(action, volume, source),
        other => other,
    }
}

fn label_of(found: &Namespace, volume: &str, stage: Stage) -> Result<Label, DeviceError> {
    let name = found.uuid.and_then(|uuid| mark_name(volume, uuid, stage));
    let name = name.ok_or_else(|| DeviceError::NoMark {
        name: volume.to_owned(),
    })?;
    Ok(Label { name, uuid: found.uuid })
}
