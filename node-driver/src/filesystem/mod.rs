//! File systems on the block devices of volumes: what is on a device, formatting, mounting, and whether DAX is in effect.
//!
//! The decisions are pure functions: [`Content::identify`], [`filesystem_of`], [`mkfs_arguments`], [`MountOptions::plan`],
//! [`MountTable::parse`]. [`Kernel`] is the one place that runs tools and asks the kernel.
//!
//! Tools that must be installed: `blkid`, `mount`, `mkfs.ext4`, `e2fsck`, `mkfs.xfs`.

mod badblocks;
mod content;
mod error;
mod format;
mod kernel;
mod mountinfo;
mod operations;
mod options;
mod paths;
mod tool;

pub use cluster::{Filesystem, UnknownFilesystem};
pub use content::{Content, Probe, read_probe};
pub use error::FilesystemError;
pub use format::{ContentError, filesystem_of, large_enough, mkfs_arguments};
pub use kernel::Kernel;
pub(crate) use mountinfo::unescape;
pub use mountinfo::{DeviceNumber, Mount, MountTable, NotMountInfo};
pub use operations::{Filesystems, PathTarget, Usage};
pub use options::{MountOptions, OptionError};
