//! Regions: the stretches of physical addresses that namespaces are cut from.

use std::ffi::c_ulong;
use std::{fmt, io};

use placement::Bytes;

use crate::badblocks::{self, BadRange};
use crate::cxl;
use crate::dimm::Mapping;
use crate::error::{Error, Operation, check};
use crate::ffi;
use crate::mode::PersistenceDomain;
use crate::sysfs;
use crate::values::{bytes, collect, known_bytes, node, text};

/// A stretch of physical addresses, made of one or several memory devices.
#[derive(Clone, Copy)]
pub struct Region<'ctx>(&'ctx ffi::ndctl_region);

/// What the kernel takes a region for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegionKind {
    /// Persistent memory.
    Pmem,
    /// Memory that loses its contents with power.
    Volatile,
    /// Something else.
    Other,
}

impl<'ctx> Region<'ctx> {
    pub(crate) fn new(raw: &'ctx ffi::ndctl_region) -> Self {
        Self(raw)
    }

    pub(crate) fn get(self) -> &'ctx ffi::ndctl_region {
        self.0
    }

    /// Device name, for example "region0". It can change from boot to boot.
    #[must_use]
    pub fn device(self) -> String {
        // SAFETY: a name that the region owns.
        unsafe { text(ffi::ndctl_region_get_devname(self.0)) }.unwrap_or_default()
    }

    /// Persistent or volatile. libndctl does not tell them apart, so this reads `devtype`.
    ///
    /// # Errors
    /// [`Error::Refused`] if the attribute cannot be read.
    pub fn kind(self) -> Result<RegionKind, Error> {
        Ok(match sysfs::read(&self.device(), "devtype")?.as_str() {
            "nd_pmem" => RegionKind::Pmem,
            "nd_volatile" => RegionKind::Volatile,
            _ => RegionKind::Other,
        })
    }

    /// Whether the kernel works with labels here. Without, the region is one namespace and cannot be divided.
    ///
    /// On an NFIT bus that takes initialised label areas. On CXL it is always so, and the first namespace that gets a
    /// size initialises a label area that is not: look at [`crate::Dimm::label_area`] before.
    #[must_use]
    pub fn has_labels(self) -> bool {
        ffi::ndctl_region_get_nstype(self.0) == ffi::ND_DEVICE_NAMESPACE_PMEM
    }

    /// All of it, used and free.
    #[must_use]
    pub fn size(self) -> Bytes {
        bytes(ffi::ndctl_region_get_size(self.0))
    }

    /// Physical address of its first byte.
    ///
    /// # Errors
    /// [`Error::Refused`] if the kernel does not show it (not root).
    pub fn start(self) -> Result<Bytes, Error> {
        let start = ffi::ndctl_region_get_resource(self.0);
        self.read(start, "resource")
    }

    /// Bytes that belong to no namespace, as the kernel counts now: rounded to the alignment, fragmented or not. 0 without labels.
    ///
    /// Before labels are first written the kernel counts the whole region although a namespace covers it:
    /// derive free space from the namespaces.
    ///
    /// # Errors
    /// [`Error::Refused`] if the attribute cannot be read.
    pub fn available_size(self) -> Result<Bytes, Error> {
        let size = ffi::ndctl_region_get_available_size(self.0);
        self.read(size, "available_size")
    }

    /// The largest stretch of free bytes, as the kernel counts now. 0 without labels; nothing if the kernel does not tell (before 4.19).
    ///
    /// # Errors
    /// [`Error::Refused`] if the attribute cannot be read.
    pub fn max_available_extent(self) -> Result<Option<Bytes>, Error> {
        let size = ffi::ndctl_region_get_max_available_extent(self.0);
        match self.read(size, "max_available_extent") {
            Ok(extent) => Ok(Some(extent)),
            Err(Error::Refused { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// `value`, unless it is the library's sign for an error, which is then in errno.
    fn read(self, value: u64, attribute: &'static str) -> Result<Bytes, Error> {
        let reason = io::Error::last_os_error();
        known_bytes(value).ok_or_else(|| Error::io(Operation::Read(attribute), self.device(), reason))
    }

    /// Namespaces start and end on multiples of this. Nothing if the kernel does not tell (before 5.7).
    #[must_use]
    pub fn align(self) -> Option<Bytes> {
        known_bytes(ffi::ndctl_region_get_align(self.0))
    }

    /// Changes the alignment until the next boot. Namespaces that exist are not touched.
    ///
    /// The kernel takes a power of two of at least 4 KiB, times the number of interleave ways
    /// (`align_store` in `drivers/nvdimm/region_devs.c`).
    ///
    /// # Errors
    /// [`Error::Refused`], with `InvalidInput` for a value that the kernel does not take.
    pub fn set_align(self, align: Bytes) -> Result<(), Error> {
        let align: c_ulong = align.get_u64();
        let code = ffi::ndctl_region_set_align(self.0, align);
        check(code, Operation::Set("align"), || self.device()).map(drop)
    }

    /// Over how many memory devices its bytes are spread; 1 without devices.
    #[must_use]
    pub fn interleave_ways(self) -> u32 {
        ffi::ndctl_region_get_interleave_ways(self.0)
    }

    /// The NUMA node of the CPUs near it.
    #[must_use]
    pub fn numa_node(self) -> Option<u32> {
        node(ffi::ndctl_region_get_numa_node(self.0))
    }

    /// The NUMA node that it would be if it were used as RAM.
    #[must_use]
    pub fn target_node(self) -> Option<u32> {
        node(ffi::ndctl_region_get_target_node(self.0))
    }

    /// What survives a power failure.
    #[must_use]
    pub fn persistence_domain(self) -> PersistenceDomain {
        PersistenceDomain::from_raw(ffi::ndctl_region_get_persistence_domain(self.0))
    }

    /// Whether the kernel refuses writes.
    #[must_use]
    pub fn is_read_only(self) -> bool {
        ffi::ndctl_region_get_ro(self.0) != 0
    }

    /// Whether the kernel's driver uses it. A disabled region has no namespaces.
    #[must_use]
    pub fn is_enabled(self) -> bool {
        ffi::ndctl_region_is_enabled(self.0) != 0
    }

    /// The cookie of its interleave set, which ties labels to the region; nothing without labels.
    ///
    /// It changes when labels are first written. Where it is 0 (CXL devices without serial numbers), labels can be written
    /// but not read back: the region does not come up again while there are any.
    #[must_use]
    pub fn interleave_set_cookie(self) -> Option<u64> {
        ffi::ndctl_region_get_interleave_set(self.0).map(|set| ffi::ndctl_interleave_set_get_cookie(set))
    }

    /// The memory devices that it is made of, in the order of their position. Empty for "e820".
    ///
    /// # Errors
    /// [`Error::Incomplete`] if libndctl could not read all of them.
    pub fn mappings(self) -> Result<Vec<Mapping<'ctx>>, Error> {
        let first = ffi::ndctl_mapping_get_first(self.0);
        let mut mappings: Vec<Mapping> = collect(first, ffi::ndctl_mapping_get_next)
            .into_iter()
            .map(Mapping::new)
            .collect();
        let expected = ffi::ndctl_region_get_mappings(self.0);
        if u32::try_from(mappings.len()) != Ok(expected) {
            let object = format!("a mapping of {}", self.device());
            return Err(Error::Incomplete { object });
        }
        mappings.sort_by_key(|mapping| mapping.position());
        Ok(mappings)
    }

    /// The serial number of each memory device of a CXL region, by position; nothing for one that has none.
    ///
    /// # Errors
    /// [`Error::Refused`] if one is there and cannot be read.
    pub fn cxl_serial_numbers(self) -> Result<Vec<Option<u64>>, Error> {
        let ways = ffi::ndctl_region_get_mappings(self.0);
        cxl::serial_numbers(&self.device(), ways as usize)
    }

    /// Lets the kernel's driver use the region.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is disabled still.
    pub fn enable(self) -> Result<(), Error> {
        let code = ffi::ndctl_region_enable(self.0);
        check(code, Operation::Enable, || self.device()).map(drop)
    }

    /// Takes the region away from the kernel's driver, with all namespaces, mounted or not: be sure that none is in use.
    ///
    /// Namespaces of this context that belong to it are of no more use.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is enabled still.
    pub fn disable(self) -> Result<(), Error> {
        let code = ffi::ndctl_region_disable_preserve(self.0);
        check(code, Operation::Disable, || self.device()).map(drop)
    }

    /// Stretches of the region that cannot be read, by offset from its start. Nothing if the kernel does not tell (disabled).
    ///
    /// # Errors
    /// [`Error::Refused`] if the list cannot be read.
    pub fn bad_ranges(self) -> Result<Option<Vec<BadRange>>, Error> {
        let device = self.device();
        badblocks::read(&sysfs::attribute(&device, "badblocks"), &device)
    }
}

impl fmt::Debug for Region<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({})", self.device())
    }
}
