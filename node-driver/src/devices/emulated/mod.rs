//! Files that look like persistent memory: for people who have none, and for scale tests with many nodes.
//!
//! Sizes and places are those that real hardware would give. There is no DAX and no protection from power loss beyond
//! that of the file system below.

mod bytes;
mod flag;
mod layout;
mod loop_device;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crds::VolumeMode;
use placement::Mode;

use crate::devices::{DeviceError, Devices, FoundMode, Inventory, NewNamespace, RawBytes, VolumeDevice};
use bytes::SparseBytes;
use layout::{Kept, Layout};

pub use flag::{NotARegion, RegionFlag};

/// The emulated backend. Its regions and namespaces live in one directory and survive restarts.
#[derive(Debug)]
pub struct Emulated {
    directory: PathBuf,
    attach: Attach,
    layout: Mutex<Layout>,
}

/// How a volume becomes a block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// As a loop device, made when the volume is first looked for. Needs root.
    Loop,
    /// Not at all: its path is that of a plain file. For tests.
    Nothing,
}

/// Why the directory of the emulated backend cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EmulatedError {
    /// A file or directory cannot be read or written.
    #[error("cannot use {path} for emulated persistent memory")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The file that holds the layout is damaged.
    #[error("{path} is damaged: repair it, or delete the directory and with it all emulated volumes")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        #[source]
        source: serde_json::Error,
    },
}

impl Emulated {
    /// Opens the directory; makes it with `regions` if it is new. Regions that are there already stay as they are.
    ///
    /// # Errors
    /// If the directory cannot be used, or what is in it is damaged.
    pub fn open(directory: &Path, regions: &[RegionFlag], attach: Attach) -> Result<Self, EmulatedError> {
        let io = |source| EmulatedError::Io {
            path: directory.to_owned(),
            source,
        };
        fs::create_dir_all(directory.join("volumes")).map_err(io)?;
        let layout = Layout::open(directory, regions)?;
        Ok(Self {
            directory: directory.to_owned(),
            attach,
            layout: Mutex::new(layout),
        })
    }

    fn layout(&self) -> MutexGuard<'_, Layout> {
        // A layout is only ever replaced as a whole, so a panic elsewhere cannot leave half of one.
        self.layout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join("volumes").join(format!("{name}.img"))
    }

    fn change(&self, layout: &mut Layout, next: Layout) -> Result<(), EmulatedError> {
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

    fn set_mode(&self, layout: &mut Layout, name: &str, mode: FoundMode, kept: &Kept) -> Result<File, EmulatedError> {
        let path = self.file(name);
        let io = |source| EmulatedError::Io {
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(io)?;
        let next = layout.with_mode(name, mode, kept.usable);
        self.change(layout, next)?;
        let length = if mode == FoundMode::Raw {
            kept.extent.size
        } else {
            kept.usable.unwrap_or_default()
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
        let Ok(kept) = layout.kept(name) else {
            return Ok(None);
        };
        let (FoundMode::Fsdax | FoundMode::Sector, Some(usable)) = (kept.mode, kept.usable) else {
            return Err(DeviceError::Incomplete { name: name.into() });
        };
        let file = self.file(name);
        let path = match self.attach {
            Attach::Loop => loop_device::attach(name, &file)?,
            Attach::Nothing => file,
        };
        let mode = match kept.mode {
            FoundMode::Sector => VolumeMode::Sector,
            _ => VolumeMode::Fsdax,
        };
        Ok(Some(VolumeDevice {
            path,
            mode,
            usable,
            numa: layout.numa(&kept.region),
            dax: false,
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
        let kept = layout.kept(name)?.clone();
        self.detach(name)?;
        let raw = Kept { usable: None, ..kept };
        let file = self
            .set_mode(&mut layout, name, FoundMode::Raw, &raw)
            .map_err(failed("open all bytes of", name))?;
        Ok(Box::new(SparseBytes {
            file,
            size: raw.extent.size,
        }))
    }

    fn configure(&self, name: &str, mode: Mode) -> Result<(), DeviceError> {
        let mut layout = self.layout();
        let kept = layout.kept(name)?.clone();
        self.detach(name)?;
        let found = match mode {
            Mode::Fsdax(_) => FoundMode::Fsdax,
            Mode::Sector => FoundMode::Sector,
        };
        let configured = Kept {
            usable: Some(mode.usable(kept.extent.size)),
            ..kept
        };
        self.set_mode(&mut layout, name, found, &configured)
            .map(drop)
            .map_err(failed("configure", name))
    }

    fn destroy(&self, name: &str) -> Result<(), DeviceError> {
        let mut layout = self.layout();
        layout.kept(name)?;
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
