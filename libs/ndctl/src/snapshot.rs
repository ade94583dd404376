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
    /// Size, UUID and name of a namespace; nothing for an attribute that the device does not have, or no longer.
    label: [Option<String>; 3],
}

impl Snapshot {
    /// Looks now, without libndctl: it takes some file reads for each namespace.
    ///
    /// # Errors
    /// [`Error::Refused`] if `/sys` cannot be read.
    pub fn take() -> Result<Self, Error> {
        let all = sysfs::matching(|name| name.starts_with("region") || name.starts_with("namespace"))?;
        let seen = |device: String| {
            let seen = Seen {
                has_driver: sysfs::attribute(&device, "driver").exists(),
                label: ["size", "uuid", "alt_name"].map(|name| sysfs::read(&device, name).ok()),
            };
            (device, seen)
        };
        Ok(Self(all.into_iter().map(seen).collect()))
    }
}
