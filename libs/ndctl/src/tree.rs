//! Which bus has which regions, and which region has which namespaces. The only file that knows all three.

use crate::bus::Bus;
use crate::error::Error;
use crate::ffi;
use crate::namespace::Namespace;
use crate::region::Region;
use crate::sysfs;
use crate::values::collect;

impl<'ctx> Bus<'ctx> {
    pub(crate) fn regions(self) -> Vec<Region<'ctx>> {
        let first = ffi::ndctl_region_get_first(self.get());
        collect(first, ffi::ndctl_region_get_next)
            .into_iter()
            .map(Region::new)
            .collect()
    }
}

impl<'ctx> Region<'ctx> {
    /// The bus it belongs to.
    #[must_use]
    pub fn bus(self) -> Bus<'ctx> {
        Bus::new(ffi::ndctl_region_get_bus(self.get()))
    }

    /// Its namespaces, idle ones of size 0 among them, in the order of their numbers.
    ///
    /// # Errors
    /// [`Error::Incomplete`] if the kernel has one that libndctl did not list, [`Error::Refused`] if `/sys` cannot be read.
    pub fn namespaces(self) -> Result<Vec<Namespace<'ctx>>, Error> {
        let expected = sysfs::devices(&self.namespace_prefix())?;
        let first = ffi::ndctl_namespace_get_first(self.get());
        let mut namespaces: Vec<Namespace> = collect(first, ffi::ndctl_namespace_get_next)
            .into_iter()
            .map(Namespace::new)
            .collect();
        let listed: Vec<String> = namespaces.iter().map(|n| n.device()).collect();
        sysfs::require_all(expected, &listed)?;
        namespaces.sort_by_key(|namespace| namespace.number());
        Ok(namespaces)
    }

    /// Whether a namespace with this device name would be one of its own, if there is one.
    pub(crate) fn numbers(self, namespace: &str) -> bool {
        namespace.starts_with(&self.namespace_prefix())
    }

    fn namespace_prefix(self) -> String {
        format!("namespace{}.", ffi::ndctl_region_get_id(self.get()))
    }

    /// A namespace that is free to be configured: size 0, not enabled, not claimed.
    ///
    /// That is number 0, or else the kernel's seed. Any other namespace of size 0 is about to go: the kernel removes it
    /// in the background (`__size_store` in `drivers/nvdimm/namespace_devs.c`).
    ///
    /// # Errors
    /// [`Error::NoSeed`] if there is none (no labels, or the region is disabled), else as [`Region::namespaces`].
    pub fn idle_namespace(self) -> Result<Namespace<'ctx>, Error> {
        let first = self.namespaces()?.into_iter().find(|n| n.number() == 0);
        let seed = ffi::ndctl_region_get_namespace_seed(self.get()).map(Namespace::new);
        let idle = first.into_iter().chain(seed).find(|n| n.is_idle());
        idle.ok_or_else(|| Error::NoSeed {
            region: self.device(),
            kind: "namespace",
        })
    }
}

impl<'ctx> Namespace<'ctx> {
    /// The region that it is a piece of.
    #[must_use]
    pub fn region(self) -> Region<'ctx> {
        Region::new(ffi::ndctl_namespace_get_region(self.get()))
    }
}
