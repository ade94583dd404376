//! The memory devices behind a region.

use std::ffi::c_int;
use std::fmt;

use placement::Bytes;

use crate::ffi;
use crate::values::{bytes, text};

/// A memory device: an NVDIMM or a CXL memory device.
#[derive(Clone, Copy)]
pub struct Dimm<'ctx>(&'ctx ffi::ndctl_dimm);

/// What a memory device says has failed (ACPI 6.5, table 5.143, "NVDIMM State Flags"; `papr_flags` on POWER). Emulated and CXL
/// devices say less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DimmFailure {
    /// It is not prepared to save its data when power fails. The kernel makes its regions read-only, and lets anybody undo that.
    NotArmed,
    /// It did not save its data when it had to last.
    Save,
    /// It did not get back what it had saved.
    Restore,
    /// What was in caches of the platform did not reach it when it had to last.
    Flush,
    /// Firmware could not map it.
    Map,
}

impl Dimm<'_> {
    /// Device name, for example "nmem0". It can change from boot to boot.
    #[must_use]
    pub fn device(self) -> String {
        // SAFETY: a name that the DIMM owns.
        unsafe { text(ffi::ndctl_dimm_get_devname(self.0)) }.unwrap_or_default()
    }

    /// What the device itself says it is (vendor, serial number), where it says so. Emulated devices may share one.
    #[must_use]
    pub fn unique_id(self) -> Option<String> {
        // SAFETY: a text that the DIMM owns, or null.
        unsafe { text(ffi::ndctl_dimm_get_unique_id(self.0)) }
    }

    /// Whether the kernel's driver uses it.
    #[must_use]
    pub fn is_enabled(self) -> bool {
        ffi::ndctl_dimm_is_enabled(self.0) != 0
    }

    /// Whether a passphrase is needed before it can be used.
    #[must_use]
    pub fn is_locked(self) -> bool {
        ffi::ndctl_dimm_locked(self.0) != 0
    }

    /// What it says has failed, as the kernel knew when the context was opened.
    #[must_use]
    pub fn failures(self) -> Vec<DimmFailure> {
        let all = [
            (ffi::ndctl_dimm_failed_arm(self.0), DimmFailure::NotArmed),
            (ffi::ndctl_dimm_failed_save(self.0), DimmFailure::Save),
            (ffi::ndctl_dimm_failed_restore(self.0), DimmFailure::Restore),
            (ffi::ndctl_dimm_failed_flush(self.0), DimmFailure::Flush),
            (ffi::ndctl_dimm_failed_map(self.0), DimmFailure::Map),
        ];
        all.into_iter()
            .filter(|(failed, _)| *failed != 0)
            .map(|(_, failure)| failure)
            .collect()
    }

    /// How often it lost power before all that it should have kept was in it, where it counts that.
    #[must_use]
    pub fn dirty_shutdowns(self) -> Option<u64> {
        u64::try_from(ffi::ndctl_dimm_get_dirty_shutdown(self.0)).ok()
    }

    /// Major and minor number of its device in `/dev`.
    pub(crate) fn device_number(self) -> (u32, u32) {
        (ffi::ndctl_dimm_get_major(self.0), ffi::ndctl_dimm_get_minor(self.0))
    }

    pub(crate) fn can(self, command: c_int) -> bool {
        ffi::ndctl_dimm_is_cmd_supported(self.0, command) != 0
    }
}

impl fmt::Display for DimmFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotArmed => "is not armed to save its data when power fails",
            Self::Save => "did not save its data when power failed last",
            Self::Restore => "did not get back the data that it had saved",
            Self::Flush => "did not get all data when power failed last",
            Self::Map => "could not be mapped by firmware",
        })
    }
}

impl fmt::Debug for Dimm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dimm({})", self.device())
    }
}

/// The part that one memory device plays in a region.
#[derive(Clone, Copy)]
pub struct Mapping<'ctx>(&'ctx ffi::ndctl_mapping);

impl<'ctx> Mapping<'ctx> {
    pub(crate) fn new(raw: &'ctx ffi::ndctl_mapping) -> Self {
        Self(raw)
    }

    /// The device.
    #[must_use]
    pub fn dimm(self) -> Dimm<'ctx> {
        Dimm(ffi::ndctl_mapping_get_dimm(self.0))
    }

    /// Its place in the interleave set, where the kernel tells (since 4.17).
    #[must_use]
    pub fn position(self) -> Option<u32> {
        u32::try_from(ffi::ndctl_mapping_get_position(self.0)).ok()
    }

    /// Where the region begins on the device (device physical address).
    #[must_use]
    pub fn start(self) -> Bytes {
        bytes(ffi::ndctl_mapping_get_offset(self.0))
    }

    /// How much of the device belongs to the region.
    #[must_use]
    pub fn size(self) -> Bytes {
        bytes(ffi::ndctl_mapping_get_length(self.0))
    }
}

impl fmt::Debug for Mapping<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mapping({:?} at {})", self.dimm(), self.start())
    }
}
