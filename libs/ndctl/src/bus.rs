//! Buses: where persistent memory comes from.

use std::fmt;

use crate::ffi;
use crate::values::text;

/// A provider of persistent memory.
#[derive(Clone, Copy)]
pub struct Bus<'ctx>(&'ctx ffi::ndctl_bus);

impl<'ctx> Bus<'ctx> {
    pub(crate) fn new(raw: &'ctx ffi::ndctl_bus) -> Self {
        Self(raw)
    }

    pub(crate) fn get(self) -> &'ctx ffi::ndctl_bus {
        self.0
    }

    /// Device name, for example "ndbus0". It can change from boot to boot.
    #[must_use]
    pub fn device(self) -> String {
        // SAFETY: a name that the bus owns.
        unsafe { text(ffi::ndctl_bus_get_devname(self.0)) }.unwrap_or_default()
    }

    /// Who provides it: "ACPI.NFIT", "CXL", "e820", ….
    #[must_use]
    pub fn provider(self) -> String {
        // SAFETY: a name that the bus owns.
        unsafe { text(ffi::ndctl_bus_get_provider(self.0)) }.unwrap_or_default()
    }

    /// Whether ACPI describes it in an NFIT.
    #[must_use]
    pub fn has_nfit(self) -> bool {
        ffi::ndctl_bus_has_nfit(self.0) != 0
    }

    /// Whether its memory devices are CXL devices.
    ///
    /// `ndctl_bus_has_cxl` of libndctl 76 says so of every bus, so this goes by the name that `drivers/cxl/pmem.c` gives.
    #[must_use]
    pub fn has_cxl(self) -> bool {
        self.provider() == "CXL"
    }
}

impl fmt::Debug for Bus<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bus({})", self.device())
    }
}
