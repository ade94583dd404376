//! Starting and stopping a namespace that has its size.

use placement::Bytes;
use uuid::Uuid;

use crate::error::{Error, Operation, check};
use crate::ffi;
use crate::mode::PageMap;
use crate::namespace::Namespace;
use crate::values::text;

/// How a namespace came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// As itself: its block device shows every byte.
    Raw,
    /// Through the pfn, btt or dax device that the kernel found written in it.
    Claimed,
}

/// Settings of fsdax mode.
#[derive(Clone, Copy, Debug)]
pub struct Fsdax {
    /// UUID of the pfn device; one that was never used.
    pub uuid: Uuid,
    /// Where the page structures are kept.
    pub map: PageMap,
    /// Alignment of the usable bytes: 4 KiB or 2 MiB; DAX maps huge pages from 2 MiB on.
    pub align: Bytes,
}

/// Settings of sector mode.
#[derive(Clone, Copy, Debug)]
pub struct Sector {
    /// UUID of the btt device; one that was never used.
    pub uuid: Uuid,
    /// Bytes that are written whole or not at all: 512 or 4096.
    pub sector_size: u32,
}

impl Namespace<'_> {
    /// Starts it as what is written in it, or raw if nothing is or raw mode is set.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is not enabled afterwards.
    pub fn enable(self) -> Result<Activation, Error> {
        let code = ffi::ndctl_namespace_enable(self.get());
        check(code, Operation::Enable, || self.device()).map(|code| match code {
            0 => Activation::Raw,
            _ => Activation::Claimed,
        })
    }

    /// Writes the fsdax info block and starts it. What was written in its first 8 KiB is lost.
    ///
    /// If it fails, nothing claims the namespace.
    ///
    /// # Errors
    /// [`Error::NoSeed`] if the kernel offers no pfn device, [`Error::Refused`] with ENXIO if the namespace is too
    /// small.
    pub fn enable_fsdax(self, settings: Fsdax) -> Result<(), Error> {
        let region = self.region();
        let pfn = ffi::ndctl_region_get_pfn_seed(region.get()).ok_or_else(|| Error::NoSeed {
            region: region.device(),
            kind: "pfn",
        })?;
        // SAFETY: a name that the device owns.
        let device = || unsafe { text(ffi::ndctl_pfn_get_devname(pfn)) }.unwrap_or_default();
        let set = |code, what| check(code, Operation::Set(what), device);
        let mut uuid = settings.uuid.into_bytes();
        set(ffi::ndctl_pfn_set_uuid(pfn, &mut uuid), "uuid")?;
        let location = settings.map.raw();
        set(ffi::ndctl_pfn_set_location(pfn, location), "mode")?;
        let align = settings.align.get_u64();
        set(ffi::ndctl_pfn_set_align(pfn, align), "align")?;
        let attached = ffi::ndctl_pfn_set_namespace(pfn, Some(self.get()));
        check(attached, Operation::Attach, device)?;
        let enabled = check(ffi::ndctl_pfn_enable(pfn), Operation::Enable, device);
        enabled.map(drop).inspect_err(|_| {
            // The first error is the one to report; a claim that stays is taken away by `disable`.
            ffi::ndctl_pfn_set_namespace(pfn, None);
        })
    }

    /// Lays out the sectors and starts it. What was written in it is lost.
    ///
    /// If it fails, nothing claims the namespace.
    ///
    /// # Errors
    /// [`Error::NoSeed`] if the kernel offers no btt device, [`Error::Refused`] with ENXIO if the namespace is too
    /// small.
    pub fn enable_sector(self, settings: Sector) -> Result<(), Error> {
        let region = self.region();
        let btt = ffi::ndctl_region_get_btt_seed(region.get()).ok_or_else(|| Error::NoSeed {
            region: region.device(),
            kind: "btt",
        })?;
        // SAFETY: a name that the device owns.
        let device = || unsafe { text(ffi::ndctl_btt_get_devname(btt)) }.unwrap_or_default();
        let set = |code, what| check(code, Operation::Set(what), device);
        let mut uuid = settings.uuid.into_bytes();
        set(ffi::ndctl_btt_set_uuid(btt, &mut uuid), "uuid")?;
        let sector_size = settings.sector_size;
        set(ffi::ndctl_btt_set_sector_size(btt, sector_size), "sector_size")?;
        let attached = ffi::ndctl_btt_set_namespace(btt, Some(self.get()));
        check(attached, Operation::Attach, device)?;
        let enabled = check(ffi::ndctl_btt_enable(btt), Operation::Enable, device);
        enabled.map(drop).inspect_err(|_| {
            // The first error is the one to report; a claim that stays is taken away by `disable`.
            ffi::ndctl_btt_set_namespace(btt, None);
        })
    }

    /// Stops it and removes whatever claims it. What is written in it stays. Fine if it is stopped already.
    ///
    /// It refuses if the block device is mounted, part of another device, or opened with `O_EXCL`. A program that has it
    /// open otherwise does not stop it, and gets errors from then on.
    ///
    /// # Errors
    /// [`Error::Refused`] with `ResourceBusy` if it is mounted or claimed, [`Error::InUse`] if the kernel left it enabled.
    pub fn disable(self) -> Result<(), Error> {
        // SAFETY: this crate holds no pfn, btt or dax object longer than one call.
        let code = unsafe { ffi::ndctl_namespace_disable_safe(self.get()) };
        self.check(code, Operation::Disable)?;
        // The library answers 0 whatever becomes of it, so look.
        if self.is_active() || self.claim().is_some() {
            return Err(Error::InUse {
                namespace: self.device(),
            });
        }
        Ok(())
    }
}
