//! Which regions and namespaces there are, to be compared with a later look.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::sysfs;

/// Which regions and namespaces there are at one moment, which of them a driver uses, and what the kernel says of each
/// namespace. Two that are equal mean that nobody made, deleted, renamed, enabled or disabled one in between, unless all of it
/// was undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<String, Seen>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    has_driver: bool,
    /// Size, UUID and name of a namespace; nothing for an attribute that the device does not have.
    label: [Option<String>; 3],
}

impl Snapshot {
    /// Looks now, without libndctl: it takes some file reads for each namespace.
    ///
    /// # Errors
    /// [`Error::Refused`] if `/sys` cannot be read.
    pub fn take() -> Result<Self, Error> {
        let regions = sysfs::devices("region")?.into_iter().map(|region| {
            let has_driver = has_driver(&region);
            let label = [None, None, None];
            (region, Seen { has_driver, label })
        });
        let namespaces = sysfs::matching(|name| name.starts_with("namespace"))?;
        let namespaces = namespaces.into_iter().filter_map(namespace);
        Ok(Self(regions.chain(namespaces).collect()))
    }
}

/// Nothing for one of size 0: the kernel makes and removes those in the background (`__size_store` in
/// `drivers/nvdimm/namespace_devs.c`).
fn namespace(device: String) -> Option<(String, Seen)> {
    let label = ["size", "uuid", "alt_name"].map(|name| sysfs::read(&device, name).ok());
    let is_there = label[0].as_deref().is_some_and(|size| size != "0");
    is_there.then(|| {
        let has_driver = has_driver(&device);
        (device, Seen { has_driver, label })
    })
}

fn has_driver(device: &str) -> bool {
    sysfs::attribute(device, "driver").exists()
}
