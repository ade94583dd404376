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

use placement::{Bytes, Extent, Mode, RegionId};

use crate::devices::backend::{Dax, Devices, EarlierVolume, NewNamespace, VolumeDevice};
use crate::devices::error::DeviceError;
use crate::devices::inventory::{Inventory, Location, NamespaceMode};
use crate::devices::mark::Stage;
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

    /// Makes a namespace that is no volume, as a person with ndctl would.
    ///
    /// # Errors
    /// As [`Devices::create`].
    pub fn create_foreign(&self, name: &str, region: &RegionId, footprint: Bytes) -> Result<(), DeviceError> {
        let mut layout = self.layout();
        let next = layout.with_foreign(name, region, footprint)?;
        self.change(&mut layout, next).map_err(failed("create", name))
    }

    /// Destroys a namespace that is no volume.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn destroy_foreign(&self, name: &str) -> Result<(), DeviceError> {
        let mut layout = self.layout();
        let gone = layout.unmarked(name).cloned();
        let gone = gone.ok_or_else(|| DeviceError::NotFound { name: name.into() })?;
        let next = layout.without(&gone);
        self.change(&mut layout, next).map_err(failed("destroy", name))
    }

    /// Has some bytes of a region pretend to be bad blocks.
    ///
    /// # Errors
    /// It cannot be recorded.
    pub fn make_bad(&self, region: &RegionId, bad: Extent) -> Result<(), DeviceError> {
        let mut layout = self.layout();
        let next = layout.with_bad(region, bad);
        self.change(&mut layout, next)
            .map_err(failed("make bad blocks in", &region.0))
    }

    fn layout(&self) -> MutexGuard<'_, StoredLayout> {
        // A layout is only ever replaced as a whole, so a panic elsewhere cannot leave half of one.
        self.layout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, namespace: &StoredNamespace) -> PathBuf {
        self.directory.join("volumes").join(namespace.file())
    }

    fn change(&self, layout: &mut StoredLayout, next: StoredLayout) -> Result<(), EmulatedError> {
        next.save(&self.directory)?;
        *layout = next;
        Ok(())
    }

    fn detach(&self, volume: &str, namespace: &StoredNamespace) -> Result<(), DeviceError> {
        match self.attach {
            Attach::Loop => loop_device::detach(volume, &self.file(namespace)),
            Attach::Nothing => Ok(()),
        }
    }

    /// Records the mode of `new`, and gives its file the length that goes with it.
    fn set_mode(&self, layout: &mut StoredLayout, new: &StoredNamespace) -> Result<File, EmulatedError> {
        let path = self.file(new);
        let io = |source| EmulatedError::Io {
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(io)?;
        let next = layout.with(new);
        self.change(layout, next)?;
        let length = new.usable.unwrap_or(new.extent.size);
        file.set_len(length.get_u64()).map_err(io)?;
        Ok(file)
    }

    /// Records another mark, while nobody uses the namespace.
    fn set_mark(
        &self,
        layout: &mut StoredLayout,
        found: &StoredNamespace,
        volume: &str,
        stage: Stage,
    ) -> Result<(), DeviceError> {
        let marked = found.marked(volume, stage)?;
        self.detach(volume, found)?;
        let next = layout.with(&marked);
        self.change(layout, next).map_err(failed("mark", volume))
    }

    fn device(
        &self,
        layout: &StoredLayout,
        stored: &StoredNamespace,
        volume: &str,
        stage: Option<Stage>,
    ) -> Result<VolumeDevice, DeviceError> {
        let (Some(mode), Some(usable)) = (stored.mode.of_volume(), stored.usable) else {
            return Err(DeviceError::Incomplete { name: volume.into() });
        };
        let file = self.file(stored);
        let path = match self.attach {
            Attach::Loop => loop_device::attach(volume, &file)?,
            Attach::Nothing => file,
        };
        Ok(VolumeDevice {
            path,
            stage,
            is_recorded: true,
            mode,
            usable,
            numa: layout.numa(&stored.region),
            dax: Dax::NotOffered,
        })
    }
}

/// The namespace of a volume, which has to be there.
fn existing(layout: &StoredLayout, volume: &str) -> Result<(StoredNamespace, Stage), DeviceError> {
    let found = layout.of_volume(volume);
    let (namespace, stage) = found.ok_or_else(|| DeviceError::NotFound { name: volume.into() })?;
    Ok((namespace.clone(), stage))
}

/// The namespace of a volume, if `allowed` in its stage.
fn existing_if(
    layout: &StoredLayout,
    volume: &str,
    action: &'static str,
    allowed: impl Fn(Stage) -> bool,
) -> Result<StoredNamespace, DeviceError> {
    match existing(layout, volume)? {
        (namespace, stage) if allowed(stage) => Ok(namespace),
        (_, stage) => Err(DeviceError::WrongStage {
            action,
            name: volume.into(),
            stage,
        }),
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
        Ok(self.layout().to_inventory(|namespace| self.file(namespace)))
    }

    /// Nothing is ever disabled.
    fn bring_up(&self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn find_volume(&self, volume: &str) -> Result<Option<VolumeDevice>, DeviceError> {
        let layout = self.layout();
        if let Some((stored, stage)) = layout.of_volume(volume) {
            return self.device(&layout, stored, volume, Some(stage)).map(Some);
        }
        let unmarked = layout.unmarked(volume);
        unmarked
            .map(|stored| self.device(&layout, stored, volume, None))
            .transpose()
    }

    /// A new file is full of zeros.
    fn create(&self, new: &NewNamespace) -> Result<Vec<Extent>, DeviceError> {
        let mut layout = self.layout();
        let (next, made) = layout.covered(&new.region)?.with_new(new)?;
        let path = self.file(&made);
        let file = File::create(&path).and_then(|file| file.set_len(new.footprint.get_u64()));
        file.map_err(|source| EmulatedError::Io { path, source })
            .and_then(|()| self.change(&mut layout, next))
            .map_err(failed("create", &new.volume))?;
        Ok(vec![made.extent])
    }

    /// The file of a new namespace is full of zeros.
    fn unknown(&self, _region: &RegionId) -> Result<Vec<Extent>, DeviceError> {
        Ok(Vec::new())
    }

    /// Erasing takes no time: nothing is kept of it.
    fn note_erased(&self, _volume: &str, _size: Bytes) -> Result<(), DeviceError> {
        Ok(())
    }

    fn quarantine(&self, region: &RegionId) -> Result<(), DeviceError> {
        let mut layout = self.layout();
        let next = layout.covered(region)?;
        self.change(&mut layout, next)
            .map_err(failed("cover bad blocks in", &region.0))
    }

    fn mark(&self, volume: &str, stage: Stage) -> Result<(), DeviceError> {
        let mut layout = self.layout();
        let found = existing_if(&layout, volume, "mark", |now| now.may_become(stage))?;
        self.set_mark(&mut layout, &found, volume, stage)
    }

    fn mark_earlier(&self, earlier: &EarlierVolume, stage: Stage) -> Result<(), DeviceError> {
        let mut layout = self.layout();
        let is_it = |found: &&StoredNamespace| found.region == earlier.region && found.extent == earlier.extent;
        let found = layout.unmarked(&earlier.volume).filter(is_it).cloned();
        let found = found.ok_or_else(|| DeviceError::NotFound {
            name: earlier.volume.clone(),
        })?;
        self.set_mark(&mut layout, &found, &earlier.volume, stage)
    }

    fn open_raw(&self, volume: &str) -> Result<Box<dyn RawBytes>, DeviceError> {
        let mut layout = self.layout();
        let action = "open all bytes of";
        let stored = existing_if(&layout, volume, action, Stage::is_expendable)?;
        self.detach(volume, &stored)?;
        let raw = StoredNamespace {
            mode: NamespaceMode::Raw,
            usable: None,
            ..stored
        };
        let file = self.set_mode(&mut layout, &raw).map_err(failed(action, volume))?;
        Ok(Box::new(SparseBytes {
            file,
            size: raw.extent.size,
        }))
    }

    fn configure(&self, volume: &str, mode: Mode) -> Result<(), DeviceError> {
        let mut layout = self.layout();
        let stored = existing_if(&layout, volume, "configure", |stage| stage == Stage::Making)?;
        self.detach(volume, &stored)?;
        let configured = StoredNamespace {
            mode: match mode {
                Mode::Fsdax(_) => NamespaceMode::Fsdax,
                Mode::Sector => NamespaceMode::Sector,
            },
            usable: Some(mode.usable(stored.extent.size)),
            ..stored
        };
        let done = self.set_mode(&mut layout, &configured);
        done.map(drop).map_err(failed("configure", volume))
    }

    fn destroy(&self, volume: &str, _zero: &[Location]) -> Result<(), DeviceError> {
        let mut layout = self.layout();
        let stored = existing_if(&layout, volume, "destroy", Stage::is_expendable)?;
        self.detach(volume, &stored)?;
        let next = layout.without(&stored);
        self.change(&mut layout, next).map_err(failed("destroy", volume))?;
        let path = self.file(&stored);
        // A file that stays behind is harmless: the next namespace of that volume starts with an empty one.
        fs::remove_file(&path).map_err(|source| failed("destroy", volume)(EmulatedError::Io { path, source }))
    }
}

#[cfg(test)]
mod tests;
