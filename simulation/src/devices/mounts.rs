//! What is mounted where, and the paths that things can be mounted at.

use std::path::{Path, PathBuf};

use node_driver::filesystem::{DeviceNumber, Filesystem, Mount, PathTarget};
use placement::Mode;

use super::state::State;
use super::tag::Serial;

/// Where the nodes of block devices are.
const DEVTMPFS: DeviceNumber = DeviceNumber { major: 0, minor: 5 };
/// The disk of the machine.
const ROOT: DeviceNumber = DeviceNumber { major: 8, minor: 1 };

/// What is at a path on the disk of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathKind {
    Directory,
    File,
}

/// A mount, and the namespace that it shows.
#[derive(Clone, Debug)]
pub(super) struct Mounted {
    pub(super) mount: Mount,
    pub(super) serial: Serial,
    pub(super) shows: Shows,
}

/// What a mount shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shows {
    Filesystem,
    /// The node of a block device with this number.
    Device(DeviceNumber),
}

impl Mounted {
    pub(super) fn of_filesystem(
        serial: Serial,
        device: DeviceNumber,
        point: &Path,
        fs: Filesystem,
        read_only: bool,
        dax: bool,
    ) -> Self {
        let write = write_option(read_only);
        Self {
            mount: Mount {
                device,
                root: "/".into(),
                point: point.to_owned(),
                options: write.into(),
                fs_type: fs.name().into(),
                super_options: if dax {
                    format!("{write},dax=always")
                } else {
                    write.into()
                },
            },
            serial,
            shows: Shows::Filesystem,
        }
    }

    pub(super) fn of_device(serial: Serial, device: &Path, number: DeviceNumber, point: &Path) -> Self {
        Self {
            mount: Mount {
                device: DEVTMPFS,
                root: Path::new("/").join(device.file_name().unwrap_or_default()),
                point: point.to_owned(),
                options: "rw".into(),
                fs_type: "devtmpfs".into(),
                super_options: "rw".into(),
            },
            serial,
            shows: Shows::Device(number),
        }
    }

    /// The same at another place.
    pub(super) fn bound_to(&self, point: &Path) -> Self {
        let mut bound = self.clone();
        point.clone_into(&mut bound.mount.point);
        bound
    }
}

pub(super) fn write_option(read_only: bool) -> &'static str {
    if read_only { "ro" } else { "rw" }
}

impl State {
    /// The topmost mount at a path.
    pub(super) fn mount_at(&self, point: &Path) -> Option<&Mounted> {
        self.mounts.iter().rfind(|mounted| mounted.mount.point == point)
    }

    /// The block device at a path: its namespace, mode and number.
    pub(super) fn block_at(&self, path: &Path) -> Option<(Serial, Mode, DeviceNumber)> {
        let mut all = self.namespaces.iter();
        all.find_map(|found| {
            let (block, mode, number) = found.block()?;
            (block == path).then_some((found.serial, mode, number))
        })
    }

    /// What a path leads to.
    pub(super) fn target(&self, path: &Path) -> Option<PathTarget> {
        if let Some((_, _, number)) = self.block_at(path) {
            return Some(PathTarget::BlockDevice(number));
        }
        if let Some(mounted) = self.mount_at(path) {
            return Some(match mounted.shows {
                Shows::Filesystem => PathTarget::OnDevice(mounted.mount.device),
                Shows::Device(number) => PathTarget::BlockDevice(number),
            });
        }
        let is_known = self.paths.keys().any(|known| known.starts_with(path));
        is_known.then_some(PathTarget::OnDevice(ROOT))
    }

    /// What is at a path on the disk, whatever is mounted over it.
    pub(super) fn path(&self, path: &Path) -> Option<PathKind> {
        self.paths.get(path).copied()
    }
}

/// Where a read-only bind is prepared: in a hidden file or directory beside the target.
pub(super) fn beside(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.read-only"))
}
