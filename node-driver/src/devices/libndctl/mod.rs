//! Real persistent memory, through libndctl.
//!
//! Every operation opens a libndctl context of its own; nothing is kept between two of them but what could not be enabled, and which
//! labels were seen on their modules.

mod agreement;
mod alignment;
mod at_work;
mod block;
mod label_areas;
mod listing;
mod module_labels;
mod nothing;
mod recorded;
mod region_id;
mod region_state;
mod shown;
mod unlocked;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ndctl::{Context, Fsdax, NamedNamespace, NamespaceName, PageMap, Sector};
use placement::{Bytes, Extent, MapLocation, Mode, RegionId};
use rustix::fs::OFlags;
use uuid::Uuid;

use crate::devices::backend::{Devices, EarlierVolume, NewNamespace, VolumeDevice};
use crate::devices::error::{DeviceError, Source};
use crate::devices::in_use::{self, require_unused};
use crate::devices::inventory::{Inventory, Location, Namespace, NamespaceMode};
use crate::devices::left_disabled::{LeftDisabled, Tried};
use crate::devices::mark::{self, Stage};
use crate::devices::quarantine::{Pieces, cover};
use crate::devices::raw_bytes::{RawBytes, RawFile};
use crate::devices::uevents::Announced;
use crate::known_zero::KnownZeros;
use at_work::AtWork;
use recorded::Recorded;
use unlocked::Unlocked;

/// What the usable bytes of a fsdax namespace are aligned to, so that DAX can map huge pages.
const DAX_ALIGN: Bytes = Bytes::mib(2);
/// Sectors of a BTT: the size of a page.
const SECTOR_SIZE: u32 = 4096;

/// Real persistent memory.
#[derive(Debug, Default)]
pub struct LibNdctl {
    /// Locked while devices change and while they are listed, so that a listing never shows half of our own change. The kernel has
    /// who lists wait for what is being enabled in any case (`set_cookie_show` in `drivers/nvdimm/region_devs.c`). Not locked while
    /// bytes are written, nor for who uses a volume: [`Devices::find_volume`].
    changes: Mutex<()>,
    /// Taken before that lock. Who uses a volume waits for a change of that volume, and of no other.
    at_work: AtWork,
    left_disabled: LeftDisabled,
    recorded: Recorded,
    zeros: KnownZeros,
    announced: Announced,
}

impl LibNdctl {
    /// The devices of this machine. Nothing is opened yet.
    #[must_use]
    pub fn new(zeros: KnownZeros) -> Self {
        Self {
            zeros,
            ..Self::default()
        }
    }

    fn unlocked(&self) -> Unlocked<'_> {
        Unlocked {
            recorded: &self.recorded,
            zeros: &self.zeros,
            announced: &self.announced,
        }
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        // It guards no data, so a panic elsewhere leaves nothing half done here.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the label of a namespace is on its modules. Only of one that no listing showed its modules have to be asked.
    fn is_recorded(&self, namespace: &NamedNamespace) -> Result<bool, DeviceError> {
        let NamedNamespace { device, name, uuid, .. } = namespace;
        if self.recorded.contains(device, *uuid, name) {
            return Ok(true);
        }
        let _lock = self.lock();
        let found = listing::namespace(device)?;
        Ok(found.is_some_and(|found| found.is_recorded && found.uuid == *uuid && found.name == *name))
    }

    /// How many bytes of a namespace an erasure made zero that was interrupted.
    fn erased(&self, inventory: &Inventory, found: &Namespace) -> Bytes {
        let region = inventory.region(&found.region).filter(|_| found.is_being_erased());
        region.zip(found.uuid).map_or(Bytes::ZERO, |(region, uuid)| {
            let look = || label_areas::look(&region.device, &self.announced);
            self.zeros.erased(&region.id, uuid, found.extent, look)
        })
    }

    /// All there is, for who holds the lock.
    fn list(&self) -> Result<Inventory, DeviceError> {
        let listed = listing::inventory()?;
        self.recorded.replace(&listed);
        self.left_disabled.see(&listed);
        listed.show_to(&self.zeros);
        Ok(listed)
    }
}

impl Devices for LibNdctl {
    fn backend(&self) -> &'static str {
        "libndctl"
    }

    fn inventory(&self) -> Result<Inventory, DeviceError> {
        let _lock = self.lock();
        self.list()
    }

    fn bring_up(&self) -> Result<(), DeviceError> {
        let _lock = self.lock();
        if self.left_disabled.is_empty() {
            return Ok(());
        }
        let inventory = self.list()?;
        for (found, volume, tried) in self.left_disabled.to_bring_up(&inventory) {
            let done = self.left_disabled.note(volume, bring_up(&found.device));
            // Those that are tried again were logged before.
            if done.is_ok() || tried == Tried::Never {
                log_brought_up(volume, &found.device, &done);
            }
        }
        Ok(())
    }

    fn find_volume(&self, volume: &str) -> Result<Option<VolumeDevice>, DeviceError> {
        let _work = self.at_work.on(volume);
        shown::find(volume, |namespace| self.is_recorded(namespace))
    }

    fn create(&self, new: &NewNamespace) -> Result<Vec<Extent>, DeviceError> {
        let _work = self.at_work.on(&new.volume);
        let _lock = self.lock();
        let inventory = self.list()?;
        if inventory.is_to_clear(&new.region) {
            cover(&self.unlocked(), &new.region)?;
        }
        self.unlocked().make_known(&inventory, new)
    }

    fn unknown(&self, region: &RegionId) -> Result<Vec<Extent>, DeviceError> {
        let _lock = self.lock();
        let inventory = self.list()?;
        let found = inventory.ready_region(region)?;
        let zero = self
            .zeros
            .free(region, || label_areas::look(&found.device, &self.announced));
        Ok(inventory.unknown(found, &zero))
    }

    fn quarantine(&self, region: &RegionId) -> Result<(), DeviceError> {
        let _lock = self.lock();
        cover(&self.unlocked(), region)
    }

    fn mark(&self, volume: &str, stage: Stage) -> Result<(), DeviceError> {
        let _work = self.at_work.on(volume);
        let _lock = self.lock();
        let marked = self.unlocked().mark(&self.list()?, volume, stage);
        self.left_disabled.note(volume, marked)
    }

    fn mark_earlier(&self, earlier: &EarlierVolume, stage: Stage) -> Result<(), DeviceError> {
        let _work = self.at_work.on(&earlier.volume);
        let _lock = self.lock();
        let inventory = self.list()?;
        let found = inventory.existing_earlier(earlier)?;
        let marked = self.unlocked().set_mark(&inventory, found, &earlier.volume, stage);
        self.left_disabled.note(&earlier.volume, marked)?;
        if stage == Stage::InUse && found.mode == NamespaceMode::Raw {
            // Without a mark, no start of the driver knew that it was left disabled.
            let done = self.left_disabled.note(&earlier.volume, bring_up(&found.device));
            log_brought_up(&earlier.volume, &found.device, &done);
        }
        Ok(())
    }

    fn open_raw(&self, volume: &str) -> Result<Box<dyn RawBytes>, DeviceError> {
        let _work = self.at_work.on(volume);
        let _lock = self.lock();
        let inventory = self.list()?;
        let found = inventory.existing_to_open_raw(volume)?;
        disable_unused(&inventory, found, volume)?;
        let failed = |source: Source| failed("open all bytes of", volume, source);
        let path = enable_raw(&found.device).map_err(failed)?;
        let file = open_exclusive(&path).map_err(|source| failed(source.into()))?;
        let size = block::size(&path).map_err(|source| failed(source.into()))?;
        if size != found.extent.size {
            return Err(failed(
                format!("it has {}, but its block device {size}", found.extent.size).into(),
            ));
        }
        let erased = self.erased(&inventory, found);
        Ok(Box::new(RawFile { file, size, erased }))
    }

    fn note_erased(&self, volume: &str, size: Bytes) -> Result<(), DeviceError> {
        let _lock = self.lock();
        let inventory = self.list()?;
        let found = inventory.existing_to_erase(volume)?;
        if let (Some(uuid), Some(region)) = (found.uuid, inventory.region(&found.region)) {
            let part = Extent::new(found.extent.start, size);
            let look = || label_areas::look(&region.device, &self.announced);
            self.zeros.note_erased(&found.region, uuid, part, look);
        }
        Ok(())
    }

    fn configure(&self, volume: &str, mode: Mode) -> Result<(), DeviceError> {
        let _work = self.at_work.on(volume);
        let _lock = self.lock();
        let inventory = self.list()?;
        let found = inventory.existing_to_configure(volume)?;
        disable_unused(&inventory, found, volume)?;
        configure(&found.device, mode).map_err(|source| failed("configure", volume, source.into()))
    }

    fn destroy(&self, volume: &str, zero: &[Location]) -> Result<(), DeviceError> {
        let _work = self.at_work.on(volume);
        let _lock = self.lock();
        self.unlocked().destroy_zero(&self.list()?, volume, zero)
    }
}

fn failed(action: &'static str, name: &str, source: Source) -> DeviceError {
    DeviceError::Operation {
        action,
        name: name.into(),
        source,
    }
}

/// What a label says of its namespace.
struct Label {
    name: NamespaceName,
    uuid: Uuid,
}

/// The label of a new namespace: its UUID is that of no other.
fn new_label(inventory: &Inventory, volume: &str) -> Result<Label, DeviceError> {
    let uuid = mark::free_uuid(volume, |uuid| inventory.has_uuid(uuid)).ok_or_else(|| no_mark(volume))?;
    let name = mark_name(volume, uuid, Stage::Making)?;
    Ok(Label { name, uuid })
}

fn mark_name(volume: &str, uuid: Uuid, stage: Stage) -> Result<NamespaceName, DeviceError> {
    let name = mark::name(volume, uuid, stage).ok_or_else(|| no_mark(volume))?;
    name.parse()
        .map_err(|error: ndctl::NameError| failed("mark", volume, error.into()))
}

fn no_mark(volume: &str) -> DeviceError {
    DeviceError::NoMark { name: volume.into() }
}

/// The kernel shows the name that it was given also if it could not write it.
fn check_recorded(device: &str, name: &NamespaceName) -> Result<(), DeviceError> {
    match listing::namespace(device)? {
        Some(found) if found.is_recorded && found.name == name.as_str() => Ok(()),
        Some(_) | None => Err(DeviceError::NotRecorded { device: device.into() }),
    }
}

/// Name and UUID come before the size: the size writes the label, and so it never appears without its name. Returns the device.
fn create(region: &str, label: &Label, footprint: Bytes) -> Result<String, ndctl::Error> {
    let context = Context::new()?;
    let namespace = context.region(region)?.idle_namespace()?;
    namespace.set_uuid(label.uuid)?;
    namespace.set_name(&label.name)?;
    namespace.set_size(footprint)?;
    Ok(namespace.device())
}

/// Has the kernel offer another idle namespace in the region, which it does when the last one is enabled for the first time
/// (`nd_region_notify_driver_action` in `drivers/nvdimm/region_devs.c`). Without, nobody could make one, not even `ndctl`.
fn offer_next(device: &str) -> Result<(), ndctl::Error> {
    let context = Context::new()?;
    let namespace = context.namespace(device)?;
    namespace.set_raw_mode(true)?;
    namespace.enable()?;
    namespace.disable()
}

fn rename(device: &str, name: &NamespaceName) -> Result<(), ndctl::Error> {
    Context::new()?.namespace(device)?.set_name(name)
}

fn destroy(device: &str) -> Result<(), ndctl::Error> {
    Context::new()?.delete_namespace(device)
}

/// Disables a namespace that nobody uses, in a region that may be written to.
fn disable_unused(inventory: &Inventory, found: &Namespace, volume: &str) -> Result<(), DeviceError> {
    inventory.writable_region(&found.region)?;
    if let Some(block) = &found.block {
        require_unused(volume, block)?;
    }
    let in_use = || DeviceError::InUse {
        name: volume.into(),
        device: match &found.block {
            Some(block) => block.display().to_string(),
            None => found.device.clone(),
        },
        by: in_use::SOMEBODY.to_string(),
    };
    disable(&found.device).map_err(|error| match error {
        ndctl::Error::InUse { .. } => in_use(),
        ndctl::Error::Refused { source, .. } if source.kind() == std::io::ErrorKind::ResourceBusy => in_use(),
        other => failed("disable", volume, other.into()),
    })
}

fn disable(device: &str) -> Result<(), ndctl::Error> {
    Context::new()?.namespace(device)?.disable()
}

/// Brings a namespace up that somebody left disabled. What was to claim it may be left as well, and nothing can be enabled
/// under that. One that the kernel enabled since it was listed, because its region was, may be in use by now.
fn bring_up(device: &str) -> Result<(), DeviceError> {
    let bring_up = || -> Result<(), Source> {
        if Context::new()?.namespace(device)?.is_active() {
            return Ok(());
        }
        disable(device)?;
        enable(device)
    };
    bring_up().map_err(left_disabled(device))
}

fn left_disabled(device: &str) -> impl FnOnce(Source) -> DeviceError {
    let device = device.to_owned();
    move |source| DeviceError::LeftDisabled { device, source }
}

fn log_brought_up(volume: &str, device: &str, done: &Result<(), DeviceError>) {
    match done {
        Ok(()) => tracing::info!(volume, device, "brought up a namespace that was disabled"),
        Err(error) => tracing::error!(
            volume,
            device,
            error = program::chain(error),
            "a namespace stays disabled"
        ),
    }
}

/// Brings a namespace up in the mode that is written in it.
fn enable(device: &str) -> Result<(), Source> {
    let context = Context::new()?;
    match context.namespace(device)?.enable()? {
        ndctl::Activation::Claimed => Ok(()),
        ndctl::Activation::Raw => Err("it came up without its mode".into()),
    }
}

fn enable_raw(device: &str) -> Result<PathBuf, Source> {
    let context = Context::new()?;
    let namespace = context.namespace(device)?;
    namespace.set_raw_mode(true)?;
    match namespace.enable()? {
        ndctl::Activation::Raw => {}
        ndctl::Activation::Claimed => return Err("it did not come up in raw mode".into()),
    }
    let block = namespace.block_device().ok_or("it has no block device in raw mode")?;
    Ok(Path::new("/dev").join(block))
}

fn configure(device: &str, mode: Mode) -> Result<(), ndctl::Error> {
    let context = Context::new()?;
    let namespace = context.namespace(device)?;
    namespace.set_raw_mode(false)?;
    let uuid = Uuid::new_v4();
    match mode {
        Mode::Fsdax(map) => namespace.enable_fsdax(Fsdax {
            uuid,
            map: match map {
                MapLocation::Dev => PageMap::Dev,
                MapLocation::Mem => PageMap::Mem,
            },
            align: DAX_ALIGN,
        }),
        Mode::Sector => namespace.enable_sector(Sector {
            uuid,
            sector_size: SECTOR_SIZE,
        }),
    }
}

/// Exclusive, so that nobody mounts it meanwhile; direct, so that every byte goes to the device and none through the cache.
fn open_exclusive(path: &Path) -> std::io::Result<File> {
    let flags = (OFlags::EXCL | OFlags::DIRECT).bits();
    let flags = i32::try_from(flags).map_err(std::io::Error::other)?;
    OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)
}
