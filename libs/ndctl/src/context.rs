//! The library context.

use std::io;
use std::ptr::{self, NonNull};

use crate::bus::Bus;
use crate::error::{Error, Operation, check};
use crate::ffi;
use crate::namespace::{Namespace, NamespaceKind};
use crate::region::Region;
use crate::sysfs;
use crate::values::collect;

/// A view of the persistent memory of this machine.
///
/// Each kind of device is listed when it is first asked for, and keeps what was read then. Open a new context for every
/// operation. A context may move to another thread, but only one thread at a time can use it.
#[derive(Debug)]
pub struct Context {
    raw: NonNull<ffi::ndctl_ctx>,
}

// SAFETY: libndctl keeps all its state in the context and uses nothing that belongs to a thread. Everything that came
// from the context borrows it, so that nothing stays behind when it moves.
unsafe impl Send for Context {}

impl Context {
    /// Opens a view. Reads nothing yet.
    ///
    /// The library's own messages go to standard error only if `NDCTL_LOG` is set in the environment.
    ///
    /// # Errors
    /// [`Error::Refused`] if the library cannot start (no memory, no udev).
    pub fn new() -> Result<Self, Error> {
        let mut raw = ptr::null_mut();
        // SAFETY: `raw` is a place for one pointer.
        let code = unsafe { ffi::ndctl_new(&raw mut raw) };
        check(code, Operation::Open, || "libndctl".into())?;
        let no_memory = || io::Error::from(io::ErrorKind::OutOfMemory);
        let refused = || Error::io(Operation::Open, "libndctl".into(), no_memory());
        let context = Self {
            raw: NonNull::new(raw).ok_or_else(refused)?,
        };
        if std::env::var_os("NDCTL_LOG").is_none() {
            ffi::ndctl_set_log_priority(context.get(), 0);
        }
        Ok(context)
    }

    fn get(&self) -> &ffi::ndctl_ctx {
        // SAFETY: the context lives until `self` is dropped.
        unsafe { self.raw.as_ref() }
    }

    /// The buses, for example "ACPI.NFIT".
    ///
    /// # Errors
    /// [`Error::Incomplete`] if the kernel has one that libndctl did not list, [`Error::Refused`] if `/sys` cannot be read.
    pub fn buses(&self) -> Result<Vec<Bus<'_>>, Error> {
        let expected = sysfs::devices("ndbus")?;
        let first = ffi::ndctl_bus_get_first(self.get());
        let buses: Vec<Bus> = collect(first, ffi::ndctl_bus_get_next)
            .into_iter()
            .map(Bus::new)
            .collect();
        let listed: Vec<String> = buses.iter().map(|bus| bus.device()).collect();
        sysfs::require_all(expected, &listed)?;
        Ok(buses)
    }

    /// The regions of all buses.
    ///
    /// # Errors
    /// As [`Context::buses`].
    pub fn regions(&self) -> Result<Vec<Region<'_>>, Error> {
        let expected = sysfs::devices("region")?;
        let buses = self.buses()?;
        let regions: Vec<Region> = buses.into_iter().flat_map(Bus::regions).collect();
        let listed: Vec<String> = regions.iter().map(|region| region.device()).collect();
        sysfs::require_all(expected, &listed)?;
        Ok(regions)
    }

    /// The region with this device name ("region0").
    ///
    /// # Errors
    /// As [`Context::buses`], and [`Error::NotFound`].
    pub fn region(&self, device: &str) -> Result<Region<'_>, Error> {
        let found = self.regions()?.into_iter().find(|r| r.device() == device);
        found.ok_or_else(|| Error::NotFound {
            object: device.to_owned(),
        })
    }

    /// The namespace with this device name ("namespace0.1").
    ///
    /// # Errors
    /// As [`Context::buses`], and [`Error::NotFound`].
    pub fn namespace(&self, device: &str) -> Result<Namespace<'_>, Error> {
        let regions = self.regions()?;
        for region in regions.into_iter().filter(|region| region.numbers(device)) {
            let namespaces = region.namespaces()?;
            if let Some(found) = namespaces.into_iter().find(|n| n.device() == device) {
                return Ok(found);
            }
        }
        Err(Error::NotFound {
            object: device.to_owned(),
        })
    }

    /// Deletes the label of a namespace: its space is free afterwards. Its bytes stay as they are.
    ///
    /// The device stays as an idle one of size 0, or the kernel removes it in the background. Returns only after the
    /// kernel shows one of both.
    ///
    /// # Errors
    /// [`Error::LabelLess`] for a namespace without label, [`Error::InUse`] for one that is not disabled,
    /// [`Error::NotFound`], or what the kernel says.
    pub fn delete_namespace(&mut self, device: &str) -> Result<(), Error> {
        let namespace = self.namespace(device)?;
        let in_use = || Error::InUse {
            namespace: device.to_owned(),
        };
        if namespace.kind() != NamespaceKind::Labelled {
            return Err(Error::LabelLess {
                namespace: device.to_owned(),
            });
        }
        if namespace.is_active() || namespace.claim().is_some() {
            return Err(in_use());
        }
        let raw = ptr::from_ref(namespace.get()).cast_mut();
        // SAFETY: the namespace was listed just now, and `&mut self` proves that nobody else holds it.
        let code = unsafe { ffi::ndctl_namespace_delete(raw) };
        check(code, Operation::Delete, || device.to_owned())?;
        match self.namespace(device) {
            // The library takes ENXIO for success, so look.
            Ok(left) if !left.size().is_zero() => Err(in_use()),
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(other) => Err(other),
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the only reference to the context, and whatever borrowed it is gone.
        unsafe { ffi::ndctl_unref(self.raw.as_ptr()) };
    }
}
