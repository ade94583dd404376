//! Namespaces by their names, straight from `/sys`.
//!
//! A [`Context`](crate::Context) reads all devices of all regions, and waits while the kernel enables any of them (`set_cookie_show` in
//! `drivers/nvdimm/region_devs.c`), which takes long for a large one. Here, a namespace of another name costs one read, and
//! nothing waits for it.

use std::path::Path;
use std::{fs, io};

use uuid::Uuid;

use crate::error::{Error, Operation};
use crate::mode::Mode;
use crate::sysfs::{DEVICES, matching_in};

/// A namespace as the kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedNamespace {
    /// Device name, for example "namespace0.1".
    pub device: String,
    /// The name in its label.
    pub name: String,
    /// The UUID in its label.
    pub uuid: Option<Uuid>,
    /// How it presents its bytes; raw also while what claims it is not enabled.
    pub mode: Mode,
    /// Name of its block device ("pmem0.1", "pmem0s"); none if it has none now.
    pub block_device: Option<String>,
    /// The NUMA node of the CPUs near its region.
    pub numa_node: Option<u32>,
}

/// The namespaces that take space and whose names are wanted.
///
/// # Errors
/// [`Error::Refused`] if something cannot be read, with `Interrupted` if it changed meanwhile.
pub fn namespaces_named(is_wanted: impl Fn(&str) -> bool) -> Result<Vec<NamedNamespace>, Error> {
    named_in(Path::new(DEVICES), &is_wanted)
}

fn named_in(devices: &Path, is_wanted: &dyn Fn(&str) -> bool) -> Result<Vec<NamedNamespace>, Error> {
    let mut found = Vec::new();
    for device in matching_in(devices, |name| name.starts_with("namespace"))? {
        let folder = devices.join(&device);
        let name = attribute(&folder, "alt_name")?.unwrap_or_default();
        if !name.is_empty() && is_wanted(&name) {
            found.extend(steady(devices, &device)?);
        }
    }
    found.retain(|namespace: &NamedNamespace| is_wanted(&namespace.name));
    Ok(found)
}

/// Read twice: what is destroyed and made meanwhile may have the same device, and what is enabled the same block device.
fn steady(devices: &Path, device: &str) -> Result<Option<NamedNamespace>, Error> {
    let first = namespace(devices, device)?;
    if first == namespace(devices, device)? {
        return Ok(first);
    }
    let changed = io::Error::new(io::ErrorKind::Interrupted, "it changed meanwhile");
    Err(failed(&devices.join(device), "namespace", changed))
}

fn namespace(devices: &Path, device: &str) -> Result<Option<NamedNamespace>, Error> {
    let folder = devices.join(device);
    let size = attribute(&folder, "size")?.filter(|size| size != "0");
    let (Some(name), Some(_takes_space)) = (attribute(&folder, "alt_name")?, size) else {
        return Ok(None);
    };
    let holder = attribute(&folder, "holder")?.filter(|holder| !holder.is_empty());
    let claim = holder
        .map(|holder| devices.join(holder))
        .filter(|claim| has_driver(claim));
    Ok(Some(NamedNamespace {
        device: device.to_owned(),
        name,
        uuid: attribute(&folder, "uuid")?.and_then(|uuid| uuid.parse().ok()),
        mode: claim.as_deref().map_or(Mode::Raw, mode_of),
        block_device: block_device(claim.as_deref().unwrap_or(&folder))?,
        numa_node: numa_node(devices, device)?,
    }))
}

/// Of what claims a namespace, by its name ("pfn0.1").
fn mode_of(claim: &Path) -> Mode {
    let name = claim.file_name().unwrap_or_default().to_string_lossy();
    match name.trim_end_matches(|last: char| last.is_ascii_digit() || last == '.') {
        "pfn" => Mode::Fsdax,
        "btt" => Mode::Sector,
        "dax" => Mode::Devdax,
        _ => Mode::Raw,
    }
}

fn has_driver(device: &Path) -> bool {
    device.join("driver").exists()
}

fn block_device(device: &Path) -> Result<Option<String>, Error> {
    let folder = device.join("block");
    let mut entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(none) if is_gone(&none) => return Ok(None),
        Err(other) => return Err(failed(device, "block", other)),
    };
    let first = entries
        .next()
        .transpose()
        .map_err(|error| failed(device, "block", error))?;
    Ok(first.map(|entry| entry.file_name().to_string_lossy().into_owned()))
}

/// Namespace 3.1 is in region 3.
fn numa_node(devices: &Path, namespace: &str) -> Result<Option<u32>, Error> {
    let number = namespace.trim_start_matches("namespace").split('.').next();
    let region = devices.join(format!("region{}", number.unwrap_or_default()));
    let node = attribute(&region, "numa_node")?;
    Ok(node.and_then(|node| node.parse().ok()))
}

/// The text of an attribute without the end of its line; nothing if the device does not have it, or is gone. What is no UTF-8 is
/// nobody's mark.
fn attribute(folder: &Path, name: &'static str) -> Result<Option<String>, Error> {
    match fs::read(folder.join(name)) {
        Ok(text) => Ok(Some(String::from_utf8_lossy(&text).trim_end().to_owned())),
        Err(none) if is_gone(&none) => Ok(None),
        Err(other) => Err(failed(folder, name, other)),
    }
}

/// ENXIO and ENODEV are what the kernel answers for a device that is going.
fn is_gone(error: &io::Error) -> bool {
    let is_going = matches!(error.raw_os_error(), Some(6 | 19));
    is_going || matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn failed(folder: &Path, what: &'static str, source: io::Error) -> Error {
    let device = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Error::io(Operation::Read(what), device, source)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that looks like that of the kernel.
    struct Devices(tempfile::TempDir);

    impl Devices {
        fn new() -> Self {
            let devices = Self(tempfile::tempdir().unwrap());
            devices.has("region0/numa_node", "1");
            devices
        }

        fn has(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{text}\n")).unwrap();
        }

        fn has_namespace(&self, device: &str, name: &str, size: &str) {
            self.has(&format!("{device}/alt_name"), name);
            self.has(&format!("{device}/uuid"), "5d0c1f6e-8f0b-4c39-9a57-2e6db1a740c4");
            self.has(&format!("{device}/size"), size);
            self.has(&format!("{device}/holder"), "");
        }

        fn named(&self, wanted: &str) -> Vec<NamedNamespace> {
            named_in(self.0.path(), &|name| name == wanted).unwrap()
        }
    }

    #[test]
    fn what_claims_it_says_how_it_is_used() {
        for (claim, block, mode) in [("pfn0.1", "pmem0.1", Mode::Fsdax), ("btt0.1", "pmem0.1s", Mode::Sector)] {
            let devices = Devices::new();
            devices.has_namespace("namespace0.1", "v", "33554432");
            devices.has("namespace0.1/holder", claim);
            devices.has(&format!("{claim}/driver/name"), "nd_pmem");
            devices.has(&format!("{claim}/block/{block}/size"), "1");
            let found = devices.named("v").remove(0);
            assert_eq!((found.mode, found.block_device.as_deref()), (mode, Some(block)));
            assert_eq!((found.numa_node, found.device.as_str()), (Some(1), "namespace0.1"));
            assert!(found.uuid.is_some());
        }
    }

    #[test]
    fn a_claim_that_is_not_enabled_counts_as_none() {
        let devices = Devices::new();
        devices.has_namespace("namespace0.0", "v", "33554432");
        devices.has("namespace0.0/holder", "pfn0.0");
        devices.has("pfn0.0/size", "0");
        let found = devices.named("v").remove(0);
        assert_eq!((found.mode, found.block_device), (Mode::Raw, None));
    }

    #[test]
    fn others_and_those_without_space_are_left_out() {
        let devices = Devices::new();
        devices.has_namespace("namespace0.0", "other", "33554432");
        devices.has_namespace("namespace0.1", "v", "0");
        // One without a label has no name, and nobody else's device is one.
        devices.has("namespace1.0/size", "33554432");
        devices.has("pfn0.0/alt_name", "v");
        assert_eq!(devices.named("v"), []);
        assert_eq!(devices.named(""), []);
    }

    #[test]
    fn a_machine_without_persistent_memory_has_none() {
        assert_eq!(named_in(Path::new("/nowhere"), &|_| true).unwrap(), []);
    }
}
