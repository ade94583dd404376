//! Namespaces: the pieces of a region.

use std::fmt;

use placement::Bytes;
use uuid::Uuid;

use crate::badblocks::{self, BadRange};
use crate::claim::Claim;
use crate::error::{Error, Operation, check};
use crate::ffi;
use crate::mode::Mode;
use crate::name::NamespaceName;
use crate::sysfs;
use crate::values::{bytes, known_bytes, text, uuid};

/// A piece of a region.
///
/// Size, start, UUID and name are those of the moment when the context listed it, or what was set through it since.
#[derive(Clone, Copy)]
pub struct Namespace<'ctx>(&'ctx ffi::ndctl_namespace);

/// What a namespace is written down in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NamespaceKind {
    /// Nowhere: it is the whole region, always.
    LabelLess,
    /// In labels: it has a name and a UUID, and can be deleted.
    Labelled,
    /// Something else.
    Other,
}

impl<'ctx> Namespace<'ctx> {
    pub(crate) fn new(raw: &'ctx ffi::ndctl_namespace) -> Self {
        Self(raw)
    }

    pub(crate) fn get(self) -> &'ctx ffi::ndctl_namespace {
        self.0
    }

    pub(crate) fn number(self) -> u32 {
        ffi::ndctl_namespace_get_id(self.0)
    }

    /// Device name, for example "namespace0.1". It can change from boot to boot, and is used again after deletion.
    #[must_use]
    pub fn device(self) -> String {
        // SAFETY: a name that the namespace owns.
        unsafe { text(ffi::ndctl_namespace_get_devname(self.0)) }.unwrap_or_default()
    }

    /// Labelled or not.
    #[must_use]
    pub fn kind(self) -> NamespaceKind {
        match ffi::ndctl_namespace_get_type(self.0) {
            ffi::ND_DEVICE_NAMESPACE_IO => NamespaceKind::LabelLess,
            ffi::ND_DEVICE_NAMESPACE_PMEM => NamespaceKind::Labelled,
            _ => NamespaceKind::Other,
        }
    }

    /// The bytes it takes from its region; 0 for one that is free to be configured.
    #[must_use]
    pub fn size(self) -> Bytes {
        bytes(ffi::ndctl_namespace_get_size(self.0))
    }

    /// Physical address of its first byte. Nothing for size 0, or if the kernel does not show it (not root).
    #[must_use]
    pub fn start(self) -> Option<Bytes> {
        known_bytes(ffi::ndctl_namespace_get_resource(self.0))
    }

    /// The UUID in its label.
    #[must_use]
    pub fn uuid(self) -> Option<Uuid> {
        uuid(|bytes| ffi::ndctl_namespace_get_uuid(self.0, bytes))
    }

    /// The name in its label (`alt_name`), whatever somebody put there.
    #[must_use]
    pub fn name(self) -> Option<String> {
        // SAFETY: a text that the namespace owns.
        unsafe { text(ffi::ndctl_namespace_get_alt_name(self.0)) }
    }

    /// How it is used, read now; nothing for a mode that libndctl does not know.
    #[must_use]
    pub fn mode(self) -> Option<Mode> {
        Mode::from_raw(ffi::ndctl_namespace_get_mode(self.0))
    }

    /// Whether raw mode was asked for with [`Namespace::set_raw_mode`].
    #[must_use]
    pub fn is_raw_mode(self) -> bool {
        ffi::ndctl_namespace_get_raw_mode(self.0) != 0
    }

    /// Whether it is enabled itself, read now. One that a pfn or btt device has claimed is not.
    #[must_use]
    pub fn is_enabled(self) -> bool {
        ffi::ndctl_namespace_is_enabled(self.0) != 0
    }

    /// Whether it, or the device that claims it, is enabled, read now.
    #[must_use]
    pub fn is_active(self) -> bool {
        ffi::ndctl_namespace_is_active(self.0)
    }

    /// The device that claims it, read now.
    #[must_use]
    pub fn claim(self) -> Option<Claim> {
        Claim::of(self.0)
    }

    pub(crate) fn is_idle(self) -> bool {
        self.kind() == NamespaceKind::Labelled && self.size().is_zero() && !self.is_enabled() && self.claim().is_none()
    }

    /// Name of its block device ("pmem0.1", "pmem0s"), of the claiming device if there is one, read now.
    #[must_use]
    pub fn block_device(self) -> Option<String> {
        match self.claim() {
            Some(claim) => claim.block_device,
            // SAFETY: a name that the namespace owns.
            None => unsafe { text(ffi::ndctl_namespace_get_block_device(self.0)) },
        }
    }

    /// Stretches of its block device that cannot be read, by offset on that device.
    ///
    /// Nothing without a block device, or if the kernel does not tell (sector mode).
    ///
    /// # Errors
    /// [`Error::Refused`] if the list cannot be read.
    pub fn bad_ranges(self) -> Result<Option<Vec<BadRange>>, Error> {
        let Some(block) = self.block_device() else {
            return Ok(None);
        };
        let path = format!("/sys/class/block/{block}/badblocks");
        badblocks::read(path.as_ref(), &block)
    }

    /// Sets the UUID that its label will have. Written to the label together with the size.
    ///
    /// # Errors
    /// [`Error::Refused`], with `ResourceBusy` if the namespace is enabled, or has its size.
    pub fn set_uuid(self, uuid: Uuid) -> Result<(), Error> {
        if self.size().is_zero() && self.uuid().is_some() {
            // Left over from an attempt that did not get its size: the kernel takes no second UUID (namespace_update_uuid
            // in drivers/nvdimm/namespace_devs.c), but forgets the first one for a size of 0.
            sysfs::write(&self.device(), "size", "0")?;
        }
        let code = ffi::ndctl_namespace_set_uuid(self.0, &mut uuid.into_bytes());
        self.check(code, Operation::Set("uuid"))
    }

    /// Sets its name. Before the size is set it goes into the label together with the size; later it is written at once.
    ///
    /// # Errors
    /// [`Error::Refused`], with `ResourceBusy` if the namespace is enabled.
    pub fn set_name(self, name: &NamespaceName) -> Result<(), Error> {
        // SAFETY: a string that ends in NUL; the library copies it.
        let code = unsafe { ffi::ndctl_namespace_set_alt_name(self.0, name.as_c_str().as_ptr()) };
        self.check(code, Operation::Set("alt_name"))
    }

    /// Takes that many bytes of the region and writes the label: from here on the namespace survives a reboot.
    ///
    /// The kernel chooses the place: the lowest hole that fits. The size has to be a multiple of the region's alignment.
    /// Meant for a namespace of size 0: one that grows may move its start. A read-only region does not refuse: its label
    /// area can be written.
    ///
    /// # Errors
    /// [`Error::Refused`]: `StorageFull` if no hole fits, `InvalidInput` for a size that is 0 or not a multiple of the
    /// alignment.
    pub fn set_size(self, size: Bytes) -> Result<(), Error> {
        let code = ffi::ndctl_namespace_set_size(self.0, size.get_u64());
        self.check(code, Operation::Set("size"))
    }

    /// Writes into its label what the namespace is for, so that the kernel starts it as nothing else (`holder_class`).
    ///
    /// # Errors
    /// [`Error::Refused`], among others by kernels before 4.13, which do not have it.
    pub fn set_holder_class(self, mode: Mode) -> Result<(), Error> {
        let code = ffi::ndctl_namespace_set_enforce_mode(self.0, mode.raw());
        self.check(code, Operation::Set("holder_class"))
    }

    /// Says whether the next [`Namespace::enable`] shows every byte of it, whatever is written at its start.
    ///
    /// The kernel forgets it at reboot.
    ///
    /// # Errors
    /// [`Error::Refused`], with `ResourceBusy` if the namespace is enabled.
    pub fn set_raw_mode(self, raw: bool) -> Result<(), Error> {
        let code = ffi::ndctl_namespace_set_raw_mode(self.0, raw.into());
        self.check(code, Operation::Set("raw mode"))
    }

    pub(crate) fn check(self, code: std::ffi::c_int, operation: Operation) -> Result<(), Error> {
        check(code, operation, || self.device()).map(drop)
    }
}

impl fmt::Debug for Namespace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Namespace({})", self.device())
    }
}
