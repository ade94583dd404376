//! Files that look like persistent memory: for people who have none, and for scale tests with many nodes.
//!
//! Namespaces get the sizes and extents that real hardware would give them. There is no DAX, and no protection from power
//! loss beyond that of the file system below.

mod bytes;
mod flag;
mod loop_device;
mod stored;

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crds::VolumeMode;
use placement::Mode;

use crate::devices::backend::{Dax, Devices, NewNamespace, VolumeDevice};
use crate::devices::error::DeviceError;
use crate::devices::inventory::{Inventory, NamespaceMode};
use crate::devices::raw_bytes::RawBytes;
use bytes::SparseBytes;
use stored::{StoredLayout, StoredNamespace};

pub use flag::{NotARegion, RegionFlag};
pub use stored::EmulatedError;

/// The emulated backend. Its regions and namespaces live in one directory and survive restarts.
#[derive(Debug)]
pub struct Emulated {
    directory: PathBuf,
    attach: Attach,
    layout: Mutex<StoredLayout>,
}

/// How a volume becomes a block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// As a loop device, attached when the volume is first asked for. Needs root.
    Loop,
    /// It does not: its path is that of a plain file. For tests and hollow nodes.
    Nothing,
}

impl Emulated {
    /// Opens the directory, or makes it with `regions` if it is new. Existing regions stay as they are.
    ///
    /// # Errors
    /// If the directory cannot be used, or what is in it is damaged.
    pub fn open(directory: &Path, regions: &[RegionFlag], attach: Attach) -> Result<Self, EmulatedError> {
        let io = |source| EmulatedError::Io {
            path: directory.to_owned(),
            source,
        };
        fs::create_dir_all(directory.join("volumes")).map_err(io)?;
        let layout = StoredLayout::open(directory, regions)?;
        Ok(Self {
            directory: directory.to_owned(),
            attach,
            layout: Mutex::new(layout),
        })
    }

    fn layout(&self) -> MutexGuard<'_, StoredLayout> {
        // A layout is only ever replaced as a whole, so a panic elsewhere cannot leave half of one.
        self.layout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join("volumes").join(format!("{name}.img"))
    }

    fn change(&self, layout: &mut StoredLayout, next: StoredLayout) -> Result<(), EmulatedError> {
        next.save(&self.directory)?;
        *layout = next;
        Ok(())
    }

    fn detach(&self, name: &str) -> Result<(), DeviceError> {
        match self.attach {
            Attach::Loop => loop_device::detach(name, &self.file(name)),
            Attach::Nothing => Ok(()),
        }
    }

    fn set_mode(
        &self,
        layout: &mut StoredLayout,
        name: &str,
        mode: NamespaceMode,
        new: &StoredNamespace,
    ) -> Result<File, EmulatedError> {
        let path = self.file(name);
        let io = |source| EmulatedError::Io {
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(io)?;
        let next = layout.with_mode(name, mode, new.usable);
        self.change(layout, next)?;
        let length = if mode == NamespaceMode::Raw {
            new.extent.size
        } else {
            new.usable.unwrap_or_default()
        };
        file.set_len(length.get_u64()).map_err(io)?;
        Ok(file)
    }
}

fn failed(action: &'static str, name: &str) -> impl FnOnce(EmulatedError) -> DeviceError {
    let name = name.to_owned();
    move |source| DeviceError::Operation {
        action,
        name,
        source: source.into(),
    }
}

impl Devices for Emulated {
    fn backend(&self) -> &'static str {
        "emulated"
    }

    fn inventory(&self) -> Result<Inventory, DeviceError> {
        Ok(self.layout().to_inventory(|name| self.file(name)))
    }

    fn find_volume(&self, name: &str) -> Result<Option<VolumeDevice>, DeviceError> {
        let layout = self.layout();
        let Ok(stored) = layout.namespace(name) else {
            return Ok(None);
        };
        let (NamespaceMode::Fsdax | NamespaceMode::Sector, Some(usable)) = (stored.mode, stored.usable) else {
            return Err(DeviceError::Incomplete { name: name.into() });
        };
        let file = self.file(name);
        let path = match self.attach {
            Attach::Loop => loop_device::attach(name, &file)?,
            Attach::Nothing => file,
        };
        let mode = match stored.mode {
            NamespaceMode::Sector => VolumeMode::Sector,
            _ => VolumeMode::Fsdax,
        };
        Ok(Some(VolumeDevice {
            path,
            mode,
            usable,
            numa: layout.numa(&stored.region),
            dax: Dax::NotOffered,
        }))
    }

    fn create(&self, new: &NewNamespace) -> Result<(), DeviceError> {
        let mut layout = self.layout();
        let next = layout.with_new(new)?;
        let path = self.file(&new.name);
        let made = File::create(&path).and_then(|file| file.set_len(new.footprint.get_u64()));
        made.map_err(|source| EmulatedError::Io { path, source })
            .and_then(|()| self.change(&mut layout, next))
            .map_err(failed("create", &new.name))
    }

    fn open_raw(&self, name: &str) -> Result<Box<dyn RawBytes>, DeviceError> {
        let mut layout = self.layout();
        let stored = layout.namespace(name)?.clone();
        self.detach(name)?;
        let raw = StoredNamespace { usable: None, ..stored };
        let file = self
            .set_mode(&mut layout, name, NamespaceMode::Raw, &raw)
            .map_err(failed("open all bytes of", name))?;
        Ok(Box::new(SparseBytes {
            file,
            size: raw.extent.size,
        }))
    }

    fn configure(&self, name: &str, mode: Mode) -> Result<(), DeviceError> {
        let mut layout = self.layout();
        let stored = layout.namespace(name)?.clone();
        self.detach(name)?;
        let namespace_mode = match mode {
            Mode::Fsdax(_) => NamespaceMode::Fsdax,
            Mode::Sector => NamespaceMode::Sector,
        };
        let configured = StoredNamespace {
            usable: Some(mode.usable(stored.extent.size)),
            ..stored
        };
        self.set_mode(&mut layout, name, namespace_mode, &configured)
            .map(drop)
            .map_err(failed("configure", name))
    }

    fn destroy(&self, name: &str) -> Result<(), DeviceError> {
        let mut layout = self.layout();
        layout.namespace(name)?;
        self.detach(name)?;
        let next = layout.without(name);
        self.change(&mut layout, next).map_err(failed("destroy", name))?;
        let path = self.file(name);
        // A file that stays behind is harmless: the next namespace of that name starts with an empty one.
        fs::remove_file(&path).map_err(|source| failed("destroy", name)(EmulatedError::Io { path, source }))
    }
}

#[cfg(test)]
mod tests;
