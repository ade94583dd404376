//! What libndctl does not tell: read straight from `/sys`.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::error::{Error, Operation};

/// All devices of the nvdimm subsystem, one entry each (kernel: `drivers/nvdimm/bus.c`).
pub(crate) const DEVICES: &str = "/sys/bus/nd/devices";

/// Where the kernel shows the attribute `name` of `device`.
pub(crate) fn attribute(device: &str, name: &str) -> PathBuf {
    Path::new(DEVICES).join(device).join(name)
}

/// The text of an attribute without the end of its line.
pub(crate) fn read(device: &str, name: &'static str) -> Result<String, Error> {
    fs::read_to_string(attribute(device, name))
        .map(|text| text.trim_end().to_owned())
        .map_err(|source| Error::io(Operation::Read(name), device.to_owned(), source))
}

/// The names of all devices that consist of `prefix` and a number. None where the kernel has no nvdimm subsystem.
pub(crate) fn devices(prefix: &str) -> Result<Vec<String>, Error> {
    matching(|name| is_numbered(name, prefix))
}

/// The names of all devices that are `wanted`.
pub(crate) fn matching(wanted: impl Fn(&str) -> bool) -> Result<Vec<String>, Error> {
    matching_in(Path::new(DEVICES), wanted)
}

/// The names of the entries of `devices` that are `wanted`. None where the kernel has no nvdimm subsystem; where there is no sysfs
/// at all, nobody knows.
pub(crate) fn matching_in(devices: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>, Error> {
    let failed = |source| Error::io(Operation::List, devices.display().to_string(), source);
    let entries = match fs::read_dir(devices) {
        Ok(entries) => entries,
        Err(gone) if gone.kind() == io::ErrorKind::NotFound && is_sysfs_there() => return Ok(Vec::new()),
        Err(other) => return Err(failed(other)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        names.extend(name.to_str().filter(|name| wanted(name)).map(str::to_owned));
    }
    Ok(names)
}

/// Whether the kernel's nvdimm subsystem is there: built in, or its module loaded.
#[must_use]
pub fn has_subsystem() -> bool {
    Path::new(DEVICES).exists()
}

fn is_sysfs_there() -> bool {
    Path::new("/sys/bus").exists()
}

fn is_numbered(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

/// Writes an attribute.
pub(crate) fn write(device: &str, name: &'static str, value: &str) -> Result<(), Error> {
    fs::write(attribute(device, name), value)
        .map_err(|source| Error::io(Operation::Set(name), device.to_owned(), source))
}

/// Fails if one of the `expected` is not `listed`, unless it went away meanwhile.
pub(crate) fn require_all(expected: Vec<String>, listed: &[String]) -> Result<(), Error> {
    require_present(expected, listed, |name| Path::new(DEVICES).join(name).exists())
}

fn require_present(expected: Vec<String>, listed: &[String], exists: impl Fn(&str) -> bool) -> Result<(), Error> {
    let lacking = |name: &String| !listed.contains(name) && exists(name);
    match expected.into_iter().find(lacking) {
        Some(object) => Err(Error::Incomplete { object }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_regions_from_other_devices() {
        assert!(is_numbered("region12", "region"));
        assert!(!is_numbered("region", "region"));
        assert!(!is_numbered("regional", "region"));
        assert!(is_numbered("namespace1.0", "namespace1."));
        assert!(!is_numbered("namespace11.0", "namespace1."));
    }

    #[test]
    fn a_list_that_lacks_a_device_is_an_error() {
        let listed = ["region0".to_owned(), "region2".to_owned()];
        assert!(require_present(vec!["region2".into()], &listed, |_| true).is_ok());
        let lacking = require_present(vec!["region0".into(), "region1".into()], &listed, |_| true);
        assert!(matches!(lacking, Err(Error::Incomplete { object }) if object == "region1"));
    }

    #[test]
    fn a_device_that_went_away_is_not_missed() {
        assert!(require_present(vec!["namespace0.3".into()], &[], |_| false).is_ok());
    }
}
