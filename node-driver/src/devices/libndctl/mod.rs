//! Real persistent memory, through libndctl.
//!
//! Every operation opens a libndctl context of its own; nothing is kept between two of them.

mod agreement;
mod alignment;
mod block;
mod listing;
mod module_labels;
mod region_id;
mod region_state;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crds::{RegionState, VolumeMode};
use ndctl::{Context, Fsdax, NamespaceName, PageMap, Sector};
use placement::{Bytes, MapLocation, Mode, RegionId};
use rustix::fs::OFlags;
use uuid::Uuid;

use crate::devices::backend::{Dax, Devices, NewNamespace, VolumeDevice};
use crate::devices::error::{DeviceError, Source};
use crate::devices::inventory::{Inventory, Namespace, NamespaceMode, Region};
use crate::devices::raw_bytes::{RawBytes, RawFile};

/// What the usable bytes of a fsdax namespace are aligned to, so that DAX can map huge pages.
const DAX_ALIGN: Bytes = Bytes::mib(2);
/// Sectors of a BTT: the size of a page.
const SECTOR_SIZE: u32 = 4096;

/// Real persistent memory.
#[derive(Debug, Default)]
pub struct LibNdctl {
    /// Locked while devices change and while they are listed, so that a listing never shows half of our own change. Not
    /// locked while bytes are written.
    changes: Mutex<()>,
}

impl LibNdctl {
    /// The devices of this machine. Nothing is opened yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        // It guards no data, so a panic elsewhere leaves nothing half done here.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Devices for LibNdctl {
    fn backend(&self) -> &'static str {
        "libndctl"
    }

    fn inventory(&self) -> Result<Inventory, DeviceError> {
        let _lock = self.lock();
        listing::inventory()
    }

    fn find_volume(&self, name: &str) -> Result<Option<VolumeDevice>, DeviceError> {
        let inventory = self.inventory()?;
        match single_named(&inventory, name) {
            Ok(found) => volume_device(&inventory, found).map(Some),
            Err(DeviceError::NotFound { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    fn create(&self, new: &NewNamespace) -> Result<(), DeviceError> {
        let _lock = self.lock();
        let device = ready_region(&listing::inventory()?, &new.region)?;
        let failed = |source: Source| failed("create", &new.name, source);
        create(&device, new).map_err(|source| match source {
            ndctl::Error::Refused { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                DeviceError::NoSpace {
                    region: new.region.clone(),
                    footprint: new.footprint,
                }
            }
            other => failed(other.into()),
        })
    }

    fn open_raw(&self, name: &str) -> Result<Box<dyn RawBytes>, DeviceError> {
        let _lock = self.lock();
        let found = disabled_namespace(name)?;
        let failed = |source: Source| failed("open all bytes of", name, source);
        let path = enable_raw(&found.device).map_err(failed)?;
        let file = open_exclusive(&path).map_err(|source| failed(source.into()))?;
        let size = block::size(&path).map_err(|source| failed(source.into()))?;
        if size != found.extent.size {
            return Err(failed(
                format!("it has {}, but its block device {size}", found.extent.size).into(),
            ));
        }
        Ok(Box::new(RawFile { file, size }))
    }

    fn configure(&self, name: &str, mode: Mode) -> Result<(), DeviceError> {
        let _lock = self.lock();
        let found = disabled_namespace(name)?;
        configure(&found.device, mode).map_err(|source| failed("configure", name, source.into()))
    }

    fn destroy(&self, name: &str) -> Result<(), DeviceError> {
        let _lock = self.lock();
        let found = disabled_namespace(name)?;
        let mut context = Context::new().map_err(|source| failed("destroy", name, source.into()))?;
        context
            .delete_namespace(&found.device)
            .map_err(|source| failed("destroy", name, source.into()))
    }
}

fn failed(action: &'static str, name: &str, source: Source) -> DeviceError {
    DeviceError::Operation {
        action,
        name: name.into(),
        source,
    }
}

fn single_named<'a>(inventory: &'a Inventory, name: &'a str) -> Result<&'a Namespace, DeviceError> {
    let found: Vec<&Namespace> = inventory.named(name).collect();
    match found[..] {
        [] => Err(DeviceError::NotFound { name: name.into() }),
        [single] => Ok(single),
        _ => Err(DeviceError::Ambiguous {
            name: name.into(),
            count: found.len(),
        }),
    }
}

/// The kernel's name of a region that namespaces can be made in.
fn ready_region(inventory: &Inventory, id: &RegionId) -> Result<String, DeviceError> {
    let region = region(inventory, id)?;
    match region.state {
        RegionState::Ready => Ok(region.device.clone()),
        RegionState::Unprepared
        | RegionState::ReadOnly
        | RegionState::Disabled
        | RegionState::Misaligned
        | RegionState::Degraded
        | RegionState::NotSeen => Err(not_ready(id, &region.message)),
    }
}

/// Fails unless the namespaces of a region may be written to. A full label area keeps new ones out, and does no harm to others.
fn check_writable(inventory: &Inventory, id: &RegionId) -> Result<(), DeviceError> {
    let region = region(inventory, id)?;
    match region.state {
        RegionState::Ready | RegionState::Degraded => Ok(()),
        RegionState::Unprepared
        | RegionState::ReadOnly
        | RegionState::Disabled
        | RegionState::Misaligned
        | RegionState::NotSeen => Err(not_ready(id, &region.message)),
    }
}

fn region<'a>(inventory: &'a Inventory, id: &RegionId) -> Result<&'a Region, DeviceError> {
    inventory
        .region(id)
        .ok_or_else(|| not_ready(id, "the kernel does not show it"))
}

fn not_ready(id: &RegionId, message: &str) -> DeviceError {
    DeviceError::NotReady {
        region: id.clone(),
        message: message.into(),
    }
}

fn volume_device(inventory: &Inventory, found: &Namespace) -> Result<VolumeDevice, DeviceError> {
    let mode = match found.mode {
        NamespaceMode::Fsdax => Some(VolumeMode::Fsdax),
        NamespaceMode::Sector => Some(VolumeMode::Sector),
        NamespaceMode::Raw | NamespaceMode::Devdax => None,
    };
    let (Some(mode), Some(path), Some(usable)) = (mode, found.block.clone(), found.usable) else {
        return Err(DeviceError::Incomplete {
            name: found.name.clone(),
        });
    };
    let dax = match mode {
        VolumeMode::Fsdax => Dax::promised(block::has_dax(&path)),
        VolumeMode::Sector => Dax::NotOffered,
    };
    let numa = inventory.region(&found.region).and_then(|region| region.numa);
    Ok(VolumeDevice {
        path,
        mode,
        usable,
        numa,
        dax,
    })
}

/// Name and UUID come before the size: the size writes the label, and so it never appears without its name.
fn create(region: &str, new: &NewNamespace) -> Result<(), ndctl::Error> {
    let name: NamespaceName = new.name.parse().map_err(|error| ndctl::Error::Refused {
        operation: ndctl::Operation::Set("alt_name"),
        object: region.into(),
        source: std::io::Error::new(std::io::ErrorKind::InvalidInput, error),
    })?;
    let context = Context::new()?;
    let namespace = context.region(region)?.idle_namespace()?;
    namespace.set_uuid(Uuid::new_v4())?;
    namespace.set_name(&name)?;
    namespace.set_size(new.footprint)
}

/// Disables the namespace of that name, in a region that may be written to.
fn disabled_namespace(name: &str) -> Result<Namespace, DeviceError> {
    let inventory = listing::inventory()?;
    let found = single_named(&inventory, name)?;
    check_writable(&inventory, &found.region)?;
    let device = || match &found.block {
        Some(block) => block.display().to_string(),
        None => found.device.clone(),
    };
    disable(&found.device).map_err(|error| match error {
        ndctl::Error::InUse { .. } => DeviceError::InUse {
            name: name.into(),
            device: device(),
        },
        ndctl::Error::Refused { source, .. } if source.kind() == std::io::ErrorKind::ResourceBusy => {
            DeviceError::InUse {
                name: name.into(),
                device: device(),
            }
        }
        other => failed("disable", name, other.into()),
    })?;
    Ok(found.clone())
}

fn disable(device: &str) -> Result<(), ndctl::Error> {
    Context::new()?.namespace(device)?.disable()
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
