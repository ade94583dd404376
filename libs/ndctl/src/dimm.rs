//! The memory devices behind a region.

use std::{fmt, io};

use placement::Bytes;

use crate::error::{Error, Operation};
use crate::ffi;
use crate::values::{bytes, text};

/// A memory device: an NVDIMM or a CXL memory device.
#[derive(Clone, Copy)]
pub struct Dimm<'ctx>(&'ctx ffi::ndctl_dimm);

/// What a memory device's label area holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LabelArea {
    /// The device has none: its region cannot be divided.
    None,
    /// There is one, but no valid index is in it: an administrator has to initialise it.
    Uninitialised,
    /// Valid.
    Initialised {
        /// Labels that can still be written. The kernel keeps one more for updates.
        free_slots: u64,
    },
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

    /// Reads the index of the label area from the device. Writes nothing.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is a label area and it cannot be read.
    pub fn label_area(self) -> Result<LabelArea, Error> {
        if !self.can(ffi::ND_CMD_GET_CONFIG_SIZE) || !self.can(ffi::ND_CMD_GET_CONFIG_DATA) {
            return Ok(LabelArea::None);
        }
        if self.has_valid_index()? {
            self.free_slots()
                .map(|free_slots| LabelArea::Initialised { free_slots })
        } else {
            Ok(LabelArea::Uninitialised)
        }
    }

    fn can(self, command: std::ffi::c_int) -> bool {
        ffi::ndctl_dimm_is_cmd_supported(self.0, command) != 0
    }

    fn has_valid_index(self) -> Result<bool, Error> {
        let command = ffi::ndctl_dimm_read_label_index(self.0);
        if command.is_null() {
            // The library keeps the reason to itself; errno is that of its last system call.
            return Err(self.unreadable(io::Error::last_os_error()));
        }
        let valid = ffi::ndctl_dimm_validate_labels(self.0) >= 0;
        // SAFETY: the command came from the call above; the DIMM holds its own reference.
        unsafe { ffi::ndctl_cmd_unref(command) };
        Ok(valid)
    }

    fn free_slots(self) -> Result<u64, Error> {
        match ffi::ndctl_dimm_get_available_labels(self.0) {
            u64::MAX => Err(self.unreadable(io::Error::last_os_error())),
            slots => Ok(slots),
        }
    }

    fn unreadable(self, source: io::Error) -> Error {
        Error::io(Operation::Read("label area"), self.device(), source)
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
