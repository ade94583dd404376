//! File systems on the block devices of volumes: what is on a device, formatting, mounting, and whether DAX is in effect.
//!
//! The decisions are pure functions: [`Content::judge`], [`prepare`], [`mkfs_arguments`], [`MountOptions::plan`],
//! [`MountTable::parse`]. [`Kernel`] is the one place that runs tools and asks the kernel.
//!
//! Tools that must be installed: `blkid`, `mount`, `mkfs.ext4`, `e2fsck`, `mkfs.xfs`.

mod badblocks;
mod content;
mod error;
mod format;
mod fs_type;
mod kernel;
mod mountinfo;
mod options;
mod tool;

use std::path::Path;

use placement::Bytes;

pub use content::{Content, Probe, read_probe};
pub use error::FilesystemError;
pub use format::{Preparation, PrepareError, mkfs_arguments, prepare};
pub use fs_type::{FsType, UnknownFsType};
pub use kernel::Kernel;
pub use mountinfo::{DeviceNumber, Mount, MountTable, NotMountInfo};
pub use options::{MountOptions, OptionError};

/// What the CSI calls need of the kernel and of tools. Every call blocks: async code wraps it in
/// `tokio::task::spawn_blocking`.
pub trait Filesystems: Send + Sync + 'static {
    /// What is at `path`, following symbolic links, or none if there is nothing.
    ///
    /// # Errors
    /// If the kernel does not say, for any reason but that nothing is there.
    fn stat(&self, path: &Path) -> Result<Option<Found>, FilesystemError>;

    /// What is on a block device.
    ///
    /// # Errors
    /// If it cannot be read, or `blkid` failed: never taken for a blank device.
    fn content(&self, device: &Path) -> Result<Content, FilesystemError>;

    /// Makes a file system on a device of `usable` bytes.
    ///
    /// Killed at any point, the next [`Filesystems::content`] is blank, unfinished, or the finished file system.
    ///
    /// # Errors
    /// If the tool failed. It fails if the device is mounted or open elsewhere for itself alone.
    fn format(&self, device: &Path, fs: FsType, usable: Bytes, content: &Content) -> Result<(), FilesystemError>;

    /// Repairs what can be repaired without a person, on a device that is not mounted. xfs does so when it is mounted.
    ///
    /// # Errors
    /// If damage is left.
    fn check(&self, device: &Path, fs: FsType) -> Result<(), FilesystemError>;

    /// All mounts that this process sees.
    ///
    /// # Errors
    /// If they cannot be read.
    fn mounts(&self) -> Result<MountTable, FilesystemError>;

    /// Mounts a device on a directory.
    ///
    /// # Errors
    /// If the kernel refuses, with what `mount` says about it.
    fn mount(&self, device: &Path, target: &Path, fs: FsType, options: &MountOptions) -> Result<(), FilesystemError>;

    /// Shows `source` at `target` too. A read-only target is never writable, not even for a moment.
    ///
    /// # Errors
    /// If the kernel refuses.
    fn bind(&self, source: &Path, target: &Path, read_only: bool) -> Result<(), FilesystemError>;

    /// Takes the topmost mount away from `target`.
    ///
    /// # Errors
    /// If nothing is mounted there or it is in use.
    fn unmount(&self, target: &Path) -> Result<(), FilesystemError>;

    /// Removes what an interrupted [`Filesystems::bind`] left beside `target`.
    ///
    /// # Errors
    /// If it cannot be removed.
    fn clear_interrupted_bind(&self, target: &Path) -> Result<(), FilesystemError>;

    /// Whether a new file below the directory `on` is mapped directly (`STATX_ATTR_DAX`, statx(2)). Leaves no file behind.
    ///
    /// # Errors
    /// If no file can be made there.
    fn maps_directly(&self, on: &Path) -> Result<bool, FilesystemError>;

    /// How full the file system is that `path` is on.
    ///
    /// # Errors
    /// If the kernel does not say.
    fn usage(&self, path: &Path) -> Result<Usage, FilesystemError>;

    /// Bytes of a device that cannot be read because the medium is bad.
    ///
    /// # Errors
    /// If the kernel's list cannot be read.
    fn bad_bytes(&self, device: DeviceNumber) -> Result<Bytes, FilesystemError>;
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A block device of this number.
    Block(DeviceNumber),
    /// A file or directory on the device of this number.
    On(DeviceNumber),
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
    /// Inodes in all.
    pub inodes: u64,
    /// Inodes that are free.
    pub inodes_free: u64,
}
