//! Devices and a kernel on which the program dies after so many effects: what a crash or a power cut at that moment leaves is
//! then looked at by whoever started it.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::park;

use node_driver::devices::{
    DeviceError, Devices, EarlierVolume, Inventory, Location, NewNamespace, RawBytes, Stage, VolumeDevice,
};
use node_driver::filesystem::{
    Content, DeviceNumber, Filesystem, FilesystemError, Filesystems, Kernel, MountOptions, MountTable, PathTarget,
    Usage,
};
use placement::{Bytes, Extent, Mode, RegionId};
use rustix::process::{Signal, getpid, kill_process};

/// What happens after the last effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The program gets SIGKILL.
    Kill,
    /// It does nothing any more, and says so, until somebody cuts the power.
    Stop,
}

/// An effect: the third of all is `3`, the first of its name `zero`, the third of its name `zero:3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// Counted from 1, whatever its name.
    Number(u64),
    /// Counted from 1 among those of its name.
    Named { name: String, number: u64 },
}

impl FromStr for Which {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, number.parse()?),
            None if text.starts_with(|first: char| first.is_ascii_digit()) => return text.parse().map(Self::Number),
            None => (text, 1),
        };
        let name = name.to_owned();
        Ok(Self::Named { name, number })
    }
}

/// Counts effects, and ends the program after one of them.
#[derive(Clone, Debug)]
pub struct Effects(Arc<Counter>);

#[derive(Debug)]
struct Counter {
    done: Mutex<Done>,
    last: Option<(Which, End)>,
}

#[derive(Debug, Default)]
struct Done {
    all: u64,
    by_name: HashMap<String, u64>,
}

impl Counter {
    /// Counts an effect, and returns its number and whether it was the last.
    fn count(&self, name: &str) -> (u64, Option<End>) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.all += 1;
        let of_name = done.by_name.entry(name.to_owned()).or_default();
        *of_name += 1;
        let of_name = *of_name;
        let is_last = |which: &Which| match which {
            Which::Number(number) => *number == done.all,
            Which::Named { name: last, number } => last == name && *number == of_name,
        };
        let end = self.last.as_ref().filter(|(which, _)| is_last(which));
        (done.all, end.map(|(_, end)| *end))
    }
}

impl Effects {
    /// Ends after that effect; without one, never.
    pub fn new(last: Option<(Which, End)>) -> Self {
        let done = Mutex::default();
        Self(Arc::new(Counter { done, last }))
    }

    /// Prints the effect and its number, and ends the program if it was the last.
    fn happened(&self, name: &str) {
        let (number, end) = self.0.count(name);
        eprintln!("effect {number} {name}");
        let Some(end) = end else {
            return;
        };
        if end == End::Kill
            && let Err(error) = kill_process(getpid(), Signal::KILL)
        {
            eprintln!("cannot kill this process: {error}");
        }
        eprintln!("stopped");
        loop {
            park();
        }
    }

    fn after<T, E>(&self, name: &str, done: Result<T, E>) -> Result<T, E> {
        done.inspect(|_| self.happened(name))
    }
}

/// Devices whose changes are counted.
pub struct CountedDevices {
    pub devices: Arc<dyn Devices>,
    pub effects: Effects,
}

impl Devices for CountedDevices {
    fn backend(&self) -> &'static str {
        self.devices.backend()
    }

    fn inventory(&self) -> Result<Inventory, DeviceError> {
        self.devices.inventory()
    }

    fn bring_up(&self) -> Result<(), DeviceError> {
        self.devices.bring_up()
    }

    fn find_volume(&self, volume: &str) -> Result<Option<VolumeDevice>, DeviceError> {
        self.devices.find_volume(volume)
    }

    fn create(&self, new: &NewNamespace) -> Result<Vec<Extent>, DeviceError> {
        self.effects.after("create", self.devices.create(new))
    }

    fn unknown(&self, region: &RegionId) -> Result<Vec<Extent>, DeviceError> {
        self.devices.unknown(region)
    }

    fn note_erased(&self, volume: &str, size: Bytes) -> Result<(), DeviceError> {
        self.effects
            .after("note-erased", self.devices.note_erased(volume, size))
    }

    fn quarantine(&self, region: &RegionId) -> Result<(), DeviceError> {
        self.effects.after("quarantine", self.devices.quarantine(region))
    }

    fn mark(&self, volume: &str, stage: Stage) -> Result<(), DeviceError> {
        let marked = self.devices.mark(volume, stage);
        self.effects.after(&format!("mark-{stage:?}"), marked)
    }

    fn mark_earlier(&self, earlier: &EarlierVolume, stage: Stage) -> Result<(), DeviceError> {
        let marked = self.devices.mark_earlier(earlier, stage);
        self.effects.after("mark-earlier", marked)
    }

    fn open_raw(&self, volume: &str) -> Result<Box<dyn RawBytes>, DeviceError> {
        let bytes = self.effects.after("open-raw", self.devices.open_raw(volume))?;
        let effects = self.effects.clone();
        Ok(Box::new(CountedBytes { bytes, effects }))
    }

    fn configure(&self, volume: &str, mode: Mode) -> Result<(), DeviceError> {
        self.effects.after("configure", self.devices.configure(volume, mode))
    }

    fn destroy(&self, volume: &str, zero: &[Location]) -> Result<(), DeviceError> {
        self.effects.after("destroy", self.devices.destroy(volume, zero))
    }
}

struct CountedBytes {
    bytes: Box<dyn RawBytes>,
    effects: Effects,
}

impl RawBytes for CountedBytes {
    fn size(&self) -> Bytes {
        self.bytes.size()
    }

    fn erased(&self) -> Bytes {
        self.bytes.erased()
    }

    fn read(&self, offset: Bytes, buffer: &mut [u8]) -> io::Result<()> {
        self.bytes.read(offset, buffer)
    }

    fn write_zeros(&self, offset: Bytes, zeros: &[u8]) -> io::Result<()> {
        self.effects.after("zero", self.bytes.write_zeros(offset, zeros))
    }

    fn flush(&self) -> io::Result<()> {
        self.effects.after("flush", self.bytes.flush())
    }
}

/// The kernel, whose changes of file systems are counted.
pub struct CountedKernel {
    pub kernel: Kernel,
    pub effects: Effects,
}

impl Filesystems for CountedKernel {
    fn stat(&self, path: &Path) -> Result<Option<PathTarget>, FilesystemError> {
        self.kernel.stat(path)
    }

    fn resolve(&self, path: &Path) -> Result<PathBuf, FilesystemError> {
        self.kernel.resolve(path)
    }

    fn make_directory(&self, path: &Path) -> Result<(), FilesystemError> {
        self.kernel.make_directory(path)
    }

    fn make_file(&self, path: &Path) -> Result<(), FilesystemError> {
        self.kernel.make_file(path)
    }

    fn remove(&self, path: &Path) -> Result<(), FilesystemError> {
        self.kernel.remove(path)
    }

    fn content(&self, device: &Path) -> Result<Content, FilesystemError> {
        self.kernel.content(device)
    }

    fn format(&self, device: &Path, fs: Filesystem, usable: Bytes) -> Result<(), FilesystemError> {
        self.effects.after("format", self.kernel.format(device, fs, usable))
    }

    fn is_held(&self, device: &Path) -> Result<bool, FilesystemError> {
        self.kernel.is_held(device)
    }

    fn check(&self, device: &Path, fs: Filesystem) -> Result<(), FilesystemError> {
        self.effects.after("check", self.kernel.check(device, fs))
    }

    fn mounts(&self) -> Result<MountTable, FilesystemError> {
        self.kernel.mounts()
    }

    fn mount(
        &self,
        device: &Path,
        target: &Path,
        fs: Filesystem,
        options: &MountOptions,
    ) -> Result<(), FilesystemError> {
        let mounted = self.kernel.mount(device, target, fs, options);
        self.effects.after("mount", mounted)
    }

    fn bind(&self, source: &Path, target: &Path, read_only: bool) -> Result<(), FilesystemError> {
        self.effects.after("bind", self.kernel.bind(source, target, read_only))
    }

    fn unmount(&self, target: &Path) -> Result<(), FilesystemError> {
        self.effects.after("unmount", self.kernel.unmount(target))
    }

    fn clear_interrupted_bind(&self, target: &Path) -> Result<(), FilesystemError> {
        self.kernel.clear_interrupted_bind(target)
    }

    fn maps_directly(&self, on: &Path) -> Result<Option<bool>, FilesystemError> {
        self.kernel.maps_directly(on)
    }

    fn usage(&self, path: &Path) -> Result<Usage, FilesystemError> {
        self.kernel.usage(path)
    }

    fn bad_bytes(&self, device: DeviceNumber) -> Result<Bytes, FilesystemError> {
        self.kernel.bad_bytes(device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(which: &str, effects: &[&str]) -> Vec<bool> {
        let last = Some((which.parse().unwrap(), End::Stop));
        let counted = Effects::new(last);
        effects.iter().map(|name| counted.0.count(name).1.is_some()).collect()
    }

    #[test]
    fn an_effect_is_named_by_its_number_or_its_name_or_both() {
        let effects = ["create", "zero", "zero", "flush"];
        assert_eq!(ends("2", &effects), [false, true, false, false]);
        assert_eq!(ends("zero", &effects), [false, true, false, false]);
        assert_eq!(ends("zero:2", &effects), [false, false, true, false]);
        assert_eq!(ends("destroy", &effects), [false; 4]);
        "zero:x".parse::<Which>().unwrap_err();
    }
}
