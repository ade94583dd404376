//! Devices that write down when a namespace was made or destroyed.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use node_driver::devices::{
    DeviceError, Devices, EarlierVolume, Emulated, Inventory, Location, NewNamespace, RawBytes, Stage, VolumeDevice,
};
use placement::{Bytes, Extent, Mode, RegionId};
use serde_json::json;

/// The file with one JSON line for each event.
#[derive(Clone, Debug)]
pub struct EventFile(Arc<Mutex<File>>);

impl EventFile {
    /// Begins an empty file.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    fn append(&self, node: &str, namespace: &str, event: &str) {
        let line = json!({ "node": node, "namespace": namespace, "event": event, "at": unix_nanoseconds() });
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = writeln!(file, "{line}") {
            tracing::error!(%error, "the file of events is incomplete");
        }
    }
}

/// Nanoseconds since 1970.
pub fn unix_nanoseconds() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos()
}

/// The devices of one node.
pub struct Recorded {
    node: String,
    devices: Arc<Emulated>,
    events: EventFile,
}

impl Recorded {
    /// Writes into `events` what happens to `devices`.
    pub fn new(node: &str, devices: Arc<Emulated>, events: EventFile) -> Self {
        Self {
            node: node.into(),
            devices,
            events,
        }
    }
}

impl Devices for Recorded {
    fn backend(&self) -> &'static str {
        self.devices.backend()
    }

    fn inventory(&self) -> Result<Inventory, DeviceError> {
        self.devices.inventory()
    }

    fn bring_up(&self) -> Result<(), DeviceError> {
        self.devices.bring_up()
    }

    fn find_volume(&self, name: &str) -> Result<Option<VolumeDevice>, DeviceError> {
        self.devices.find_volume(name)
    }

    fn create(&self, new: &NewNamespace) -> Result<Vec<Extent>, DeviceError> {
        let zero = self.devices.create(new)?;
        self.events.append(&self.node, &new.volume, "created");
        Ok(zero)
    }

    fn unknown(&self, region: &RegionId) -> Result<Vec<Extent>, DeviceError> {
        self.devices.unknown(region)
    }

    fn note_erased(&self, volume: &str, size: Bytes) -> Result<(), DeviceError> {
        self.devices.note_erased(volume, size)
    }

    fn quarantine(&self, region: &RegionId) -> Result<(), DeviceError> {
        self.devices.quarantine(region)
    }

    fn mark(&self, volume: &str, stage: Stage) -> Result<(), DeviceError> {
        self.devices.mark(volume, stage)
    }

    fn mark_earlier(&self, earlier: &EarlierVolume, stage: Stage) -> Result<(), DeviceError> {
        self.devices.mark_earlier(earlier, stage)
    }

    fn open_raw(&self, name: &str) -> Result<Box<dyn RawBytes>, DeviceError> {
        self.devices.open_raw(name)
    }

    fn configure(&self, name: &str, mode: Mode) -> Result<(), DeviceError> {
        self.devices.configure(name, mode)
    }

    fn destroy(&self, name: &str, zero: &[Location]) -> Result<(), DeviceError> {
        self.devices.destroy(name, zero)?;
        self.events.append(&self.node, name, "destroyed");
        Ok(())
    }
}
