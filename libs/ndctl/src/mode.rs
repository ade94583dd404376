//! How a namespace can be used, and what a region guarantees.

use std::ffi::c_int;

use crate::ffi;

/// How a namespace is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// A block device over the bytes as they are.
    Raw,
    /// A block device whose pages file systems can map (`fsdax`, the kernel's "memory").
    Fsdax,
    /// A block device with atomic sectors (`sector`, the kernel's "safe").
    Sector,
    /// A character device whose pages programs map (`devdax`).
    Devdax,
}

impl Mode {
    /// The mode, or nothing for a number that libndctl does not name (a mode of a later kernel).
    pub(crate) fn from_raw(raw: c_int) -> Option<Self> {
        match raw {
            ffi::NDCTL_NS_MODE_RAW => Some(Self::Raw),
            ffi::NDCTL_NS_MODE_FSDAX => Some(Self::Fsdax),
            ffi::NDCTL_NS_MODE_SECTOR => Some(Self::Sector),
            ffi::NDCTL_NS_MODE_DEVDAX => Some(Self::Devdax),
            _ => None,
        }
    }

    pub(crate) fn raw(self) -> c_int {
        match self {
            Self::Raw => ffi::NDCTL_NS_MODE_RAW,
            Self::Fsdax => ffi::NDCTL_NS_MODE_FSDAX,
            Self::Sector => ffi::NDCTL_NS_MODE_SECTOR,
            Self::Devdax => ffi::NDCTL_NS_MODE_DEVDAX,
        }
    }
}

/// Where the page structures of a fsdax namespace are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PageMap {
    /// In the namespace itself (`--map=dev`): it costs usable bytes.
    Dev,
    /// In main memory (`--map=mem`): it costs 64 bytes of RAM per 4 KiB.
    Mem,
}

impl PageMap {
    pub(crate) fn from_raw(raw: c_int) -> Option<Self> {
        match raw {
            ffi::NDCTL_PFN_LOC_PMEM => Some(Self::Dev),
            ffi::NDCTL_PFN_LOC_RAM => Some(Self::Mem),
            _ => None,
        }
    }

    pub(crate) fn raw(self) -> c_int {
        match self {
            Self::Dev => ffi::NDCTL_PFN_LOC_PMEM,
            Self::Mem => ffi::NDCTL_PFN_LOC_RAM,
        }
    }
}

/// What survives a power failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PersistenceDomain {
    /// Everything in CPU caches.
    CpuCache,
    /// What has reached the memory controller: stores must be flushed.
    MemoryController,
    /// The platform says that nothing is guaranteed.
    None,
    /// The platform does not say.
    Unknown,
}

impl PersistenceDomain {
    pub(crate) fn from_raw(raw: c_int) -> Self {
        match raw {
            ffi::PERSISTENCE_CPU_CACHE => Self::CpuCache,
            ffi::PERSISTENCE_MEM_CTRL => Self::MemoryController,
            ffi::PERSISTENCE_NONE => Self::None,
            _ => Self::Unknown,
        }
    }
}
