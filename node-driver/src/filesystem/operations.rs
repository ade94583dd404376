//! What the CSI calls use of the kernel and of tools, as a trait, so that tests can do without both.

use std::path::{Path, PathBuf};

use cluster::Filesystem;
use placement::Bytes;

use super::content::Content;
use super::error::FilesystemError;
use super::mountinfo::{DeviceNumber, MountTable};
use super::options::MountOptions;

/// What the CSI calls use of the kernel and of tools. Every call blocks: async code wraps it in
/// `program::spawn_blocking`.
pub trait Filesystems: Send + Sync + 'static {
    /// What is at `path`, following symbolic links; none if there is nothing.
    ///
    /// # Errors
    /// The kernel refuses for any other reason than that nothing is there.
    fn stat(&self, path: &Path) -> Result<Option<PathTarget>, FilesystemError>;

    /// The path without symbolic links in its parents, as the table of mounts has it; the last part may not exist yet.
    ///
    /// The path as it is if its parent does not exist: then nothing is mounted there.
    ///
    /// # Errors
    /// The kernel refuses for any other reason than that nothing is there.
    fn resolve(&self, path: &Path) -> Result<PathBuf, FilesystemError>;

    /// Makes a directory that only its owner can change. Already there counts as success, but not a symbolic link: what is
    /// mounted on it would be somewhere else.
    ///
    /// # Errors
    /// Something else is there, or the kernel refuses.
    fn make_directory(&self, path: &Path) -> Result<(), FilesystemError>;

    /// Makes an empty file to bind a device to. Already there counts as success, but not a symbolic link.
    ///
    /// # Errors
    /// Something else is there, or the kernel refuses.
    fn make_file(&self, path: &Path) -> Result<(), FilesystemError>;

    /// Removes an empty directory or a file. Already gone counts as success. A directory with contents stays: it may be data.
    ///
    /// # Errors
    /// It is a directory with contents, something is mounted there, or the kernel refuses.
    fn remove(&self, path: &Path) -> Result<(), FilesystemError>;

    /// What is on a block device.
    ///
    /// # Errors
    /// It cannot be read, or `blkid` failed: never to be taken for a blank device.
    fn content(&self, device: &Path) -> Result<Content, FilesystemError>;

    /// Makes a file system on a device of `usable` bytes, whatever is on it: nobody may ever have been handed it. On return it
    /// survives a power loss.
    ///
    /// # Errors
    /// The tool failed. It does if the device is mounted, or open exclusively.
    fn format(&self, device: &Path, fs: Filesystem, usable: Bytes) -> Result<(), FilesystemError>;

    /// Whether somebody has the device for themselves: a mount, also one that only another process sees, a device that is made
    /// of it, or a program.
    ///
    /// # Errors
    /// The device cannot be opened.
    fn is_held(&self, device: &Path) -> Result<bool, FilesystemError>;

    /// Repairs what can be repaired without a person, on a device that nobody holds. xfs does so when it is mounted.
    ///
    /// # Errors
    /// Damage is left that a person has to repair.
    fn check(&self, device: &Path, fs: Filesystem) -> Result<(), FilesystemError>;

    /// All mounts that this process sees.
    ///
    /// # Errors
    /// `/proc/self/mountinfo` cannot be read.
    fn mounts(&self) -> Result<MountTable, FilesystemError>;

    /// Mounts a device on a directory.
    ///
    /// # Errors
    /// The kernel refuses, with what `mount` printed about it; dmesg has more.
    fn mount(
        &self,
        device: &Path,
        target: &Path,
        fs: Filesystem,
        options: &MountOptions,
    ) -> Result<(), FilesystemError>;

    /// Shows `source` at `target` too. A read-only target is never writable, not even for a moment.
    ///
    /// # Errors
    /// The kernel refuses. [`Filesystems::clear_interrupted_bind`] removes what may be left.
    fn bind(&self, source: &Path, target: &Path, read_only: bool) -> Result<(), FilesystemError>;

    /// Takes the topmost mount away from `target`.
    ///
    /// # Errors
    /// Nothing is mounted there, or it is in use.
    fn unmount(&self, target: &Path) -> Result<(), FilesystemError>;

    /// Removes what an interrupted [`Filesystems::bind`] left beside `target`.
    ///
    /// # Errors
    /// It cannot be unmounted or removed.
    fn clear_interrupted_bind(&self, target: &Path) -> Result<(), FilesystemError>;

    /// Whether a new file below the directory `on` is mapped directly (`STATX_ATTR_DAX`, statx(2)); none if there is no room
    /// for one, or nothing can be written. Leaves no file behind.
    ///
    /// # Errors
    /// The kernel refuses for any other reason.
    fn maps_directly(&self, on: &Path) -> Result<Option<bool>, FilesystemError>;

    /// How full the file system is that `path` is on.
    ///
    /// # Errors
    /// The path does not exist, or the kernel refuses.
    fn usage(&self, path: &Path) -> Result<Usage, FilesystemError>;

    /// Bytes of a device that cannot be read because the medium is bad.
    ///
    /// # Errors
    /// The kernel's list cannot be read.
    fn bad_bytes(&self, device: DeviceNumber) -> Result<Bytes, FilesystemError>;
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathTarget {
    /// The block device with this number.
    BlockDevice(DeviceNumber),
    /// A file or directory of a file system on the device with this number.
    OnDevice(DeviceNumber),
}

/// How full a file system is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes for files.
    pub total: Bytes,
    /// Bytes that users may still fill.
    pub available: Bytes,
    /// Bytes that files take.
    pub used: Bytes,
    /// Inodes, free or not.
    pub inodes: u64,
    /// Inodes that files may still take.
    pub inodes_free: u64,
}
