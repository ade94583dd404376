//! Devices and a kernel that only record what was done to them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard};

use crds::VolumeMode;
use placement::{Bytes, Extent, Mode, RegionId};

use node_driver::devices::{
    self, DeviceError, Devices, EarlierVolume, Inventory, Location, NewNamespace, RawBytes, Stage, VolumeDevice,
};
use node_driver::filesystem::{
    Content, DeviceNumber, Filesystem, FilesystemError, Filesystems, Kernel, Mount, MountOptions, MountTable,
    PathTarget, Usage,
};

#[derive(Default)]
pub struct FakeDevices {
    pub volumes: Mutex<HashMap<String, VolumeDevice>>,
    pub broken: Mutex<bool>,
    /// Whether the modules lose every label that is written.
    pub labels_are_lost: Mutex<bool>,
}

impl FakeDevices {
    fn check(&self) -> Result<(), DeviceError> {
        if *self.broken.lock().unwrap() {
            return Err(DeviceError::Listing("no bus".into()));
        }
        Ok(())
    }
}

impl Devices for FakeDevices {
    fn backend(&self) -> &'static str {
        "fake"
    }

    fn inventory(&self) -> Result<Inventory, DeviceError> {
        self.check().map(|()| Inventory::default())
    }

    fn bring_up(&self) -> Result<(), DeviceError> {
        panic!("CSI calls bring nothing up")
    }

    fn find_volume(&self, name: &str) -> Result<Option<VolumeDevice>, DeviceError> {
        self.check()?;
        Ok(self.volumes.lock().unwrap().get(name).cloned())
    }

    fn mark(&self, volume: &str, stage: Stage) -> Result<(), DeviceError> {
        self.check()?;
        let mut volumes = self.volumes.lock().unwrap();
        let found = volumes.get_mut(volume).unwrap();
        assert!(found.stage.unwrap().may_become(stage));
        found.stage = Some(stage);
        found.is_recorded = !*self.labels_are_lost.lock().unwrap();
        if found.is_recorded {
            return Ok(());
        }
        let device = found.path.display().to_string();
        Err(DeviceError::NotRecorded { device })
    }

    fn mark_earlier(&self, _: &EarlierVolume, _: Stage) -> Result<(), DeviceError> {
        panic!("CSI calls know nothing of the cluster")
    }

    fn create(&self, _: &NewNamespace) -> Result<Vec<Extent>, DeviceError> {
        panic!("CSI calls make no namespaces")
    }

    fn unknown(&self, _: &RegionId) -> Result<Vec<Extent>, DeviceError> {
        panic!("CSI calls do not ask for free bytes")
    }

    fn note_erased(&self, _: &str, _: Bytes) -> Result<(), DeviceError> {
        panic!("CSI calls erase nothing")
    }

    fn quarantine(&self, _: &RegionId) -> Result<(), DeviceError> {
        panic!("CSI calls cover no bad blocks")
    }

    fn open_raw(&self, _: &str) -> Result<Box<dyn RawBytes>, DeviceError> {
        panic!("CSI calls do not touch raw bytes")
    }

    fn configure(&self, _: &str, _: Mode) -> Result<(), DeviceError> {
        panic!("CSI calls configure nothing")
    }

    fn destroy(&self, _: &str, _: &[Location]) -> Result<(), DeviceError> {
        panic!("CSI calls destroy nothing")
    }
}

/// What the fake kernel does with `dax=always`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dax {
    Works,
    /// It refuses to mount.
    Refused,
    /// It mounts without.
    NotShown,
    /// It mounts with it, but does not map new files directly.
    NotForFiles,
    /// It mounts with it, and has no room for a new file.
    NotTold,
}

/// What was done to the fake kernel, and how it behaves.
pub struct State {
    pub devices: HashMap<PathBuf, DeviceNumber>,
    pub content: HashMap<PathBuf, Content>,
    pub mounts: Vec<Mount>,
    pub calls: Vec<String>,
    pub dax: Dax,
    /// Whether formatting waits until this is false again.
    pub format_waits: bool,
    pub bad: Bytes,
    /// Devices that something else on the node has for itself.
    pub held: HashSet<PathBuf>,
}

pub struct FakeKernel {
    state: Mutex<State>,
    changed: Condvar,
}

pub const NUMBER: DeviceNumber = DeviceNumber { major: 259, minor: 0 };

impl FakeKernel {
    pub fn new() -> Self {
        let state = State {
            devices: HashMap::new(),
            content: HashMap::new(),
            mounts: Vec::new(),
            calls: Vec::new(),
            dax: Dax::Works,
            format_waits: false,
            bad: Bytes::ZERO,
            held: HashSet::new(),
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Makes a device of the next number at `path`.
    pub fn add_device(&self, path: &Path, content: Content) {
        let mut state = self.state();
        let minor = u32::try_from(state.devices.len()).unwrap();
        let number = DeviceNumber { minor, ..NUMBER };
        state.devices.insert(path.to_owned(), number);
        state.content.insert(path.to_owned(), content);
    }

    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    pub fn let_format_go_on(&self) {
        self.state().format_waits = false;
        self.changed.notify_all();
    }
}

fn mount(device: DeviceNumber, root: &str, point: &Path, options: &str) -> Mount {
    Mount {
        device,
        root: root.into(),
        point: point.to_owned(),
        options: options.into(),
        fs_type: "devtmpfs".into(),
        super_options: "rw".into(),
    }
}

const DEVTMPFS: DeviceNumber = DeviceNumber { major: 0, minor: 5 };

impl Filesystems for FakeKernel {
    fn stat(&self, path: &Path) -> Result<Option<PathTarget>, FilesystemError> {
        let state = self.state();
        if let Some(number) = state.devices.get(path) {
            return Ok(Some(PathTarget::BlockDevice(*number)));
        }
        let mounted = state.mounts.iter().rfind(|mount| mount.point == path);
        let node = |mount: &Mount| {
            let name = mount.root.file_name();
            let mut devices = state.devices.iter();
            devices.find(|(device, _)| device.file_name() == name)
        };
        let other = path.exists().then_some(PathTarget::OnDevice(DEVTMPFS));
        Ok(match mounted {
            Some(mount) if mount.device == DEVTMPFS => node(mount).map(|(_, number)| PathTarget::BlockDevice(*number)),
            Some(mount) => Some(PathTarget::OnDevice(mount.device)),
            None => other,
        })
    }

    fn resolve(&self, path: &Path) -> Result<PathBuf, FilesystemError> {
        Kernel.resolve(path)
    }

    fn make_directory(&self, path: &Path) -> Result<(), FilesystemError> {
        Kernel.make_directory(path)
    }

    fn make_file(&self, path: &Path) -> Result<(), FilesystemError> {
        Kernel.make_file(path)
    }

    fn remove(&self, path: &Path) -> Result<(), FilesystemError> {
        Kernel.remove(path)
    }

    fn content(&self, device: &Path) -> Result<Content, FilesystemError> {
        Ok(self.state().content[device].clone())
    }

    fn format(&self, device: &Path, fs: Filesystem, _: Bytes) -> Result<(), FilesystemError> {
        let mut state = self.state();
        state.calls.push(format!("format {fs}"));
        let waiting = self.changed.wait_while(state, |state| state.format_waits);
        let content = Content::Filesystem(fs);
        let mut state = waiting.unwrap();
        state.content.insert(device.to_owned(), content);
        Ok(())
    }

    fn is_held(&self, device: &Path) -> Result<bool, FilesystemError> {
        let state = self.state();
        let is_mounted = state.mounts.iter().any(|mount| mount.device == state.devices[device]);
        Ok(is_mounted || state.held.contains(device))
    }

    fn check(&self, _: &Path, fs: Filesystem) -> Result<(), FilesystemError> {
        self.state().calls.push(format!("check {fs}"));
        Ok(())
    }

    fn mounts(&self) -> Result<MountTable, FilesystemError> {
        Ok(self.state().mounts.iter().cloned().collect())
    }

    fn mount(
        &self,
        device: &Path,
        target: &Path,
        fs: Filesystem,
        options: &MountOptions,
    ) -> Result<(), FilesystemError> {
        let mut state = self.state();
        assert_eq!(state.content[device], Content::Filesystem(fs));
        let options_text = options.to_argument();
        state.calls.push(format!("mount {fs} {options_text}"));
        if state.dax == Dax::Refused && options_text.contains("dax=always") {
            return Err(FilesystemError::Tool {
                tool: "mount",
                status: "exit status: 32".into(),
                output: "wrong fs type".into(),
            });
        }
        let write = if options.read_only() { "ro" } else { "rw" };
        let dax = state.dax != Dax::NotShown && options_text.contains("dax=always");
        let mut made = mount(state.devices[device], "/", target, write);
        made.fs_type = fs.name().into();
        made.super_options = format!("{write}{}", if dax { ",dax=always" } else { "" });
        state.mounts.push(made);
        Ok(())
    }

    fn bind(&self, source: &Path, target: &Path, read_only: bool) -> Result<(), FilesystemError> {
        let mut state = self.state();
        let write = if read_only { "ro" } else { "rw" };
        state.calls.push(format!("bind {write}"));
        let below = state.mounts.iter().rfind(|mount| mount.point == source);
        let made = if state.devices.contains_key(source) {
            assert!(target.is_file());
            let root = format!("/{}", source.file_name().unwrap().display());
            mount(DEVTMPFS, &root, target, write)
        } else {
            assert!(target.is_dir());
            Mount {
                point: target.to_owned(),
                options: write.into(),
                ..below.unwrap().clone()
            }
        };
        state.mounts.push(made);
        Ok(())
    }

    fn unmount(&self, target: &Path) -> Result<(), FilesystemError> {
        let mut state = self.state();
        state.calls.push("unmount".into());
        let top = state.mounts.iter().rposition(|m| m.point == target);
        state.mounts.remove(top.unwrap());
        Ok(())
    }

    fn clear_interrupted_bind(&self, _: &Path) -> Result<(), FilesystemError> {
        Ok(())
    }

    fn maps_directly(&self, _: &Path) -> Result<Option<bool>, FilesystemError> {
        Ok(match self.state().dax {
            Dax::NotTold => None,
            dax => Some(dax != Dax::NotForFiles),
        })
    }

    fn usage(&self, _: &Path) -> Result<Usage, FilesystemError> {
        Ok(Usage {
            total: Bytes::mib(20),
            available: Bytes::mib(15),
            used: Bytes::mib(5),
            inodes: 100,
            inodes_free: 89,
        })
    }

    fn bad_bytes(&self, _: DeviceNumber) -> Result<Bytes, FilesystemError> {
        Ok(self.state().bad)
    }
}

pub fn device(path: &Path, usable: Bytes, dax: bool) -> VolumeDevice {
    VolumeDevice {
        path: path.to_owned(),
        stage: Some(Stage::HandedOut),
        is_recorded: true,
        mode: if dax { VolumeMode::Fsdax } else { VolumeMode::Sector },
        usable,
        numa: None,
        dax: if dax {
            devices::Dax::Offered
        } else {
            devices::Dax::NotOffered
        },
    }
}
