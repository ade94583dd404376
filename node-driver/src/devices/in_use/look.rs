//! Reads what there is to know about who uses a block device.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::users::{BlockDevice, Seen, SeenLoop, SeenMount};
use crate::filesystem::{DeviceNumber, Mount, MountTable, NotMountInfo, unescape};

const BLOCK: &str = "/sys/class/block";
/// Where device nodes are. Nothing else is looked at behind a mount point: a server that is gone may hold who does so.
const WITH_NODES: [&str; 2] = ["devtmpfs", "tmpfs"];

/// Something could not be read: nothing may be concluded.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookError {
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    MountInfo(#[from] NotMountInfo),
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> LookError {
    let path = path.to_owned();
    move |source| LookError::Read { path, source }
}

fn exists(path: &Path) -> Result<bool, LookError> {
    match fs::metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) => Err(failed(path)(error)),
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// All that is known about who uses the block device at `device`.
pub(super) fn look(device: &Path) -> Result<Seen, LookError> {
    let name = device.file_name().unwrap_or_default();
    Ok(Seen {
        devices: with_partitions(&Path::new(BLOCK).join(name))?,
        mounts: mounts()?,
        loops: loops()?,
        swaps: swaps()?,
        is_claimed: is_claimed(device)?,
    })
}

fn with_partitions(attributes: &Path) -> Result<Vec<BlockDevice>, LookError> {
    let mut found = vec![block_device(attributes)?];
    for entry in entries(attributes)? {
        if exists(&entry.join("partition"))? {
            found.push(block_device(&entry)?);
        }
    }
    Ok(found)
}

fn block_device(attributes: &Path) -> Result<BlockDevice, LookError> {
    let path = attributes.join("dev");
    let text = fs::read_to_string(&path).map_err(failed(&path))?;
    let number = DeviceNumber::parse(text.trim());
    let strange = || io::Error::new(io::ErrorKind::InvalidData, text.trim().to_owned());
    let holders = entries(&attributes.join("holders"))?;
    Ok(BlockDevice {
        name: file_name(attributes),
        number: number.ok_or_else(strange).map_err(failed(&path))?,
        holders: holders.iter().map(|path| file_name(path)).collect(),
    })
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, LookError> {
    let listed = fs::read_dir(folder).map_err(failed(folder))?;
    let paths = listed.map(|entry| entry.map(|entry| entry.path()));
    paths.collect::<Result<_, _>>().map_err(failed(folder))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The mounts that this process sees: in a pod all below the kubelet's folder, and of the others those that were there when the
/// pod started. Those of process 1 as well, if this process may see them: with `hostPID`, they are the host's.
fn mounts() -> Result<Vec<SeenMount>, LookError> {
    let mut seen = mounts_of(Path::new("/proc/self"), Path::new("/"))?;
    let of_first = mount_namespace("1")?;
    if of_first.is_some() && of_first != mount_namespace("self")? {
        seen.extend(mounts_of(Path::new("/proc/1"), Path::new("/proc/1/root"))?);
    }
    Ok(seen)
}

/// None if this process may not see it.
fn mount_namespace(process: &str) -> Result<Option<PathBuf>, LookError> {
    let path = Path::new("/proc").join(process).join("ns/mnt");
    match fs::read_link(&path) {
        Ok(namespace) => Ok(Some(namespace)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(failed(&path)(error)),
    }
}

fn mounts_of(process: &Path, root: &Path) -> Result<Vec<SeenMount>, LookError> {
    let path = process.join("mountinfo");
    let text = fs::read(&path).map_err(failed(&path))?;
    let table = MountTable::parse(&text)?;
    let seen = |mount: &Mount| {
        Ok(SeenMount {
            mount: mount.clone(),
            node: node_at(mount, root)?,
        })
    };
    table.iter().map(seen).collect()
}

fn node_at(mount: &Mount, root: &Path) -> Result<Option<DeviceNumber>, LookError> {
    if mount.root == Path::new("/") || !WITH_NODES.contains(&&*mount.fs_type) {
        return Ok(None);
    }
    let point = mount.point.strip_prefix("/").unwrap_or(&mount.point);
    node(&root.join(point))
}

/// The device whose node is at `path`; none if there is none.
fn node(path: &Path) -> Result<Option<DeviceNumber>, LookError> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_block_device() => Ok(Some(DeviceNumber::from_raw(found.rdev()))),
        Ok(_) => Ok(None),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(failed(path)(error)),
    }
}

fn loops() -> Result<Vec<SeenLoop>, LookError> {
    let mut seen = Vec::new();
    for attributes in entries(Path::new(BLOCK))? {
        let name = file_name(&attributes);
        let is_attached = || exists(&attributes.join("loop/backing_file"));
        if !name.starts_with("loop") || !is_attached()? {
            continue;
        }
        match shown_by(&Path::new("/dev").join(&name)) {
            Ok(Some(shows)) => seen.push(SeenLoop { name, shows }),
            Ok(None) => {}
            // It went away meanwhile.
            Err(_) if !is_attached()? => {}
            Err(error) => return Err(error),
        }
    }
    Ok(seen)
}

/// The device that an attached loop device shows; none if that is a file, or nothing is attached any more.
fn shown_by(loop_device: &Path) -> Result<Option<DeviceNumber>, LookError> {
    let file = fs::File::open(loop_device).map_err(failed(loop_device))?;
    let behind = ndctl::device_behind(&file).map_err(failed(loop_device))?;
    Ok(behind.filter(|number| *number != 0).map(DeviceNumber::from_raw))
}

/// A line for each swap space, beginning with its path, after one with titles (proc(5)).
fn swaps() -> Result<Vec<DeviceNumber>, LookError> {
    let path = Path::new("/proc/swaps");
    let text = match fs::read(path) {
        Ok(text) => text,
        // A kernel without swap.
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failed(path)(error)),
    };
    let lines = text.split(|byte| *byte == b'\n').skip(1);
    let paths = lines.filter_map(|line| line.split(u8::is_ascii_whitespace).next());
    let nodes = paths.map(|path| node(Path::new(&unescape(path))));
    nodes.filter_map(Result::transpose).collect()
}

/// Whether the kernel refuses it to who wants it for himself: it is mounted, part of another device, or opened in this way.
fn is_claimed(device: &Path) -> Result<bool, LookError> {
    let exclusive = i32::try_from(OFlags::EXCL.bits()).map_err(io::Error::other);
    let flags = exclusive.map_err(failed(device))?;
    match OpenOptions::new().read(true).custom_flags(flags).open(device) {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Ok(true),
        Err(error) => Err(failed(device)(error)),
    }
}
