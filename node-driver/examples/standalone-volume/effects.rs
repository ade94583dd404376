//! Devices and a kernel on which the program dies after so many effects: what a crash or a power cut at that moment leaves is
//! then looked at by whoever started it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::park;

use node_driver::devices::{
    DeviceError, Devices, EarlierVolume, Inventory, NewNamespace, RawBytes, Stage, VolumeDevice,
};
use node_driver::filesystem::{
    Content, DeviceNumber, Filesystem, FilesystemError, Filesystems, Kernel, MountOptions, MountTable, PathTarget,
    Usage,
};
use placement::{Bytes, Mode, RegionId};
use rustix::process::{Signal, getpid, kill_process};

/// What happens after the last effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The program gets SIGKILL.
    Kill,
    /// It does nothing any more, and says so, until somebody cuts the power.
    Stop,
}

/// Counts effects, and ends the program after so many.
#[derive(Clone, Debug)]
pub struct Effects(Arc<Counter>);

#[derive(Debug)]
struct Counter {
    done: AtomicU64,
    last: Option<(u64, End)>,
}

impl Effects {
    /// Ends after the effect of that number, counted from 1; without, never.
    pub fn new(last: Option<(u64, End)>) -> Self {
        let done = AtomicU64::new(0);
        Self(Arc::new(Counter { done, last }))
    }

    /// Prints the effect and its number, and ends the program if it was the last.
    fn happened(&self, name: &str) {
        let number = self.0.done.fetch_add(1, Ordering::SeqCst) + 1;
        eprintln!("effect {number} {name}");
        let Some((_, end)) = self.0.last.filter(|(last, _)| *last == number) else {
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

    fn create(&self, new: &NewNamespace) -> Result<(), DeviceError> {
        self.effects.after("create", self.devices.create(new))
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

    fn destroy(&self, volume: &str) -> Result<(), DeviceError> {
        self.effects.after("destroy", self.devices.destroy(volume))
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

    fn maps_directly(&self, on: &Path) -> Result<bool, FilesystemError> {
        self.kernel.maps_directly(on)
    }

    fn usage(&self, path: &Path) -> Result<Usage, FilesystemError> {
        self.kernel.usage(path)
    }

    fn bad_bytes(&self, device: DeviceNumber) -> Result<Bytes, FilesystemError> {
        self.kernel.bad_bytes(device)
    }
}
