//! The real kernel and tools.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use cluster::Filesystem;
use placement::Bytes;
use rustix::fs::{AtFlags, Mode, OFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use super::content::{Content, HEAD, read_probe};
use super::error::FilesystemError;
use super::format::mkfs_arguments;
use super::mountinfo::{DeviceNumber, MountTable, has_option};
use super::operations::{Filesystems, PathTarget, Usage};
use super::options::MountOptions;
use super::{badblocks, paths, tool};

/// The real kernel and tools. Most calls need root.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kernel;

impl Filesystems for Kernel {
    fn stat(&self, path: &Path) -> Result<Option<PathTarget>, FilesystemError> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FilesystemError::io("look at", path)(error)),
        };
        Ok(Some(if metadata.file_type().is_block_device() {
            PathTarget::BlockDevice(DeviceNumber::from_raw(metadata.rdev()))
        } else {
            PathTarget::OnDevice(DeviceNumber::from_raw(metadata.dev()))
        }))
    }

    fn resolve(&self, path: &Path) -> Result<PathBuf, FilesystemError> {
        paths::resolve(path)
    }

    fn make_directory(&self, path: &Path) -> Result<(), FilesystemError> {
        paths::make_directory(path)
    }

    fn make_file(&self, path: &Path) -> Result<(), FilesystemError> {
        paths::make_file(path)
    }

    fn remove(&self, path: &Path) -> Result<(), FilesystemError> {
        paths::remove(path)
    }

    fn content(&self, device: &Path) -> Result<Content, FilesystemError> {
        // Read first: to blkid, a device that it cannot read is blank.
        let mut head = [0; HEAD];
        File::open(device)
            .and_then(|mut file| file.read_exact(&mut head))
            .map_err(FilesystemError::io("read", device))?;
        let arguments = [
            OsStr::new("-p"),
            OsStr::new("-o"),
            OsStr::new("export"),
            device.as_os_str(),
        ];
        let finished = tool::run("blkid", &arguments)?;
        let probe = read_probe(finished.code(), &finished.stdout());
        let probe = probe.ok_or_else(|| finished.failure())?;
        Ok(Content::identify(&probe, &head))
    }

    fn format(&self, device: &Path, fs: Filesystem, usable: Bytes) -> Result<(), FilesystemError> {
        let mkfs = match fs {
            Filesystem::Ext4 => "mkfs.ext4",
            Filesystem::Xfs => "mkfs.xfs",
        };
        let arguments = mkfs_arguments(fs, usable).into_iter().map(OsStr::new);
        let arguments: Vec<&OsStr> = arguments.chain([device.as_os_str()]).collect();
        tool::run(mkfs, &arguments)?.success()?;
        let flushed = File::open(device).and_then(|file| file.sync_all());
        flushed.map_err(FilesystemError::io("flush", device))
    }

    fn is_held(&self, device: &Path) -> Result<bool, FilesystemError> {
        // On a block device, without O_CREAT, O_EXCL means: unless somebody has it for themselves (open(2)).
        match rustix::fs::open(device, OFlags::RDONLY | OFlags::EXCL | OFlags::CLOEXEC, Mode::empty()) {
            Ok(_) => Ok(false),
            Err(Errno::BUSY) => Ok(true),
            Err(error) => Err(FilesystemError::io("open", device)(error)),
        }
    }

    fn check(&self, device: &Path, fs: Filesystem) -> Result<(), FilesystemError> {
        match fs {
            // xfs replays its log when it is mounted; xfs_repair is for people, on damage that a mount reports.
            Filesystem::Xfs => Ok(()),
            Filesystem::Ext4 => {
                let finished = tool::run("e2fsck", &[OsStr::new("-p"), device.as_os_str()])?;
                // e2fsck(8): 0 no errors, 1 errors that it corrected, anything else is left to a person.
                match finished.code() {
                    Some(0) => Ok(()),
                    Some(1) => {
                        tracing::warn!(device = %device.display(), output = finished.stdout().trim(), "e2fsck corrected errors");
                        Ok(())
                    }
                    _ => Err(finished.failure()),
                }
            }
        }
    }

    fn mounts(&self) -> Result<MountTable, FilesystemError> {
        let path = Path::new("/proc/self/mountinfo");
        let text = fs::read(path).map_err(FilesystemError::io("read", path))?;
        Ok(MountTable::parse(&text)?)
    }

    fn mount(
        &self,
        device: &Path,
        target: &Path,
        fs: Filesystem,
        options: &MountOptions,
    ) -> Result<(), FilesystemError> {
        let options = options.to_argument();
        let arguments = [
            OsStr::new("-t"),
            OsStr::new(fs.name()),
            OsStr::new("-o"),
            OsStr::new(&options),
            device.as_os_str(),
            target.as_os_str(),
        ];
        // mount(8) and not mount(2): it knows which of the user's words are flags and which the file system's options.
        tool::run("mount", &arguments)?.success()
    }

    fn bind(&self, source: &Path, target: &Path, read_only: bool) -> Result<(), FilesystemError> {
        if !read_only {
            return bind(source, target);
        }
        // The kernel has no read-only bind in one step, but a bind of a read-only mount is one from the start.
        self.clear_interrupted_bind(target)?;
        let hidden = beside(target);
        make_like(source, &hidden)?;
        let bound = bind(source, &hidden)
            .and_then(|()| self.make_read_only(&hidden))
            .and_then(|()| bind(&hidden, target));
        let cleared = self.clear_interrupted_bind(target);
        if let (Err(_), Err(left)) = (&bound, &cleared) {
            tracing::warn!(error = %program::chain(left), "left a mount beside the target; the next call clears it");
        }
        bound.and(cleared)
    }

    fn unmount(&self, target: &Path) -> Result<(), FilesystemError> {
        rustix::mount::unmount(target, UnmountFlags::NOFOLLOW).map_err(FilesystemError::io("unmount", target))
    }

    fn clear_interrupted_bind(&self, target: &Path) -> Result<(), FilesystemError> {
        let hidden = beside(target);
        let metadata = match fs::symlink_metadata(&hidden) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(FilesystemError::io("look at", &hidden)(error)),
        };
        while self.mounts()?.at(&hidden).is_some() {
            self.unmount(&hidden)?;
        }
        let removed = if metadata.is_dir() {
            fs::remove_dir(&hidden)
        } else {
            fs::remove_file(&hidden)
        };
        removed.map_err(FilesystemError::io("remove", &hidden))
    }

    fn maps_directly(&self, on: &Path) -> Result<Option<bool>, FilesystemError> {
        let made = rustix::fs::open(
            on,
            OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC,
            Mode::RUSR | Mode::WUSR,
        );
        let file = match made {
            Ok(file) => file,
            Err(Errno::NOSPC | Errno::DQUOT | Errno::ROFS) => return Ok(None),
            Err(error) => return Err(FilesystemError::io("make a file for a test in", on)(error)),
        };
        let seen = rustix::fs::statx(&file, "", AtFlags::EMPTY_PATH, StatxFlags::empty());
        let seen = seen.map_err(FilesystemError::io("look at a new file in", on))?;
        let known = seen.stx_attributes & seen.stx_attributes_mask;
        Ok(Some(known.contains(StatxAttributes::DAX)))
    }

    fn usage(&self, path: &Path) -> Result<Usage, FilesystemError> {
        let seen = rustix::fs::statvfs(path).map_err(FilesystemError::io("measure", path))?;
        let bytes = |blocks: u64| {
            let bytes = blocks.saturating_mul(seen.f_frsize);
            Bytes::try_from(bytes).unwrap_or(Bytes::MAX)
        };
        Ok(Usage {
            total: bytes(seen.f_blocks),
            available: bytes(seen.f_bavail),
            used: bytes(seen.f_blocks.saturating_sub(seen.f_bfree)),
            inodes: seen.f_files,
            inodes_free: seen.f_ffree,
        })
    }

    fn bad_bytes(&self, device: DeviceNumber) -> Result<Bytes, FilesystemError> {
        let path = PathBuf::from(format!("/sys/dev/block/{device}/badblocks"));
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(FilesystemError::io("read", &path)(error)),
        };
        let strange = || io::Error::new(io::ErrorKind::InvalidData, text.trim().to_owned());
        badblocks::sum(&text).ok_or_else(|| FilesystemError::io("understand", &path)(strange()))
    }
}

impl Kernel {
    /// A remount replaces the flags of a mount, so those that it has are given again.
    fn make_read_only(self, point: &Path) -> Result<(), FilesystemError> {
        let table = self.mounts()?;
        let has = |option| table.at(point).is_some_and(|mount| has_option(&mount.options, option));
        let mut flags = MountFlags::BIND | MountFlags::RDONLY;
        flags.set(MountFlags::NOSUID, has("nosuid"));
        flags.set(MountFlags::NODEV, has("nodev"));
        flags.set(MountFlags::NOEXEC, has("noexec"));
        rustix::mount::mount_remount(point, flags, "").map_err(FilesystemError::io("make read-only", point))
    }
}

fn bind(source: &Path, target: &Path) -> Result<(), FilesystemError> {
    rustix::mount::mount_bind(source, target).map_err(FilesystemError::io("bind to", target))
}

/// Where a read-only bind is prepared: in a hidden file or directory beside the target.
fn beside(target: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".read-only");
    target.with_file_name(name)
}

/// Makes a directory if `source` is one, else an empty file: something that it can be bound to.
fn make_like(source: &Path, place: &Path) -> Result<(), FilesystemError> {
    let made = fs::metadata(source).and_then(|metadata| {
        if metadata.is_dir() {
            return DirBuilder::new().mode(0o750).create(place);
        }
        let mut options = OpenOptions::new();
        let options = options.write(true).create_new(true).mode(0o600);
        options.open(place).map(drop)
    });
    made.map_err(FilesystemError::io("make", place))
}

#[cfg(test)]
mod tests;
