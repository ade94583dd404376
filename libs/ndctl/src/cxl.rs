//! Which CXL memory devices a region is made of. libndctl does not tell, and before 6.2 neither does the kernel's nvdimm
//! subsystem.

use std::path::Path;
use std::{fs, io};

use crate::error::{Error, Operation};

/// All devices of the CXL subsystem, one entry each.
const DEVICES: &str = "/sys/bus/cxl/devices";

/// The serial number of the memory device at each position of the CXL region `region`; nothing for one that has none.
///
/// A region has the same name here and in the nvdimm subsystem (`ndr_desc.memregion` in `drivers/cxl/pmem.c`). Its
/// `targetN` names the decoder of the device at position N, which belongs to a port whose `uport` is the device
/// (`Documentation/ABI/testing/sysfs-bus-cxl`).
pub(crate) fn serial_numbers(region: &str, ways: usize) -> Result<Vec<Option<u64>>, Error> {
    serial_numbers_in(Path::new(DEVICES), region, ways)
}

fn serial_numbers_in(devices: &Path, region: &str, ways: usize) -> Result<Vec<Option<u64>>, Error> {
    let serial = |position| {
        let Some(decoder) = read(&devices.join(region).join(format!("target{position}")), region)? else {
            return Ok(None);
        };
        let serial = devices.join(&decoder).join("../uport/serial");
        Ok(read(&serial, &decoder)?.as_deref().and_then(parse))
    };
    (0..ways).map(serial).collect()
}

/// The text of an attribute, if it is there.
fn read(path: &Path, device: &str) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::io(
            Operation::Read("CXL serial number"),
            device.to_owned(),
            source,
        )),
    }
}

/// A device without a serial number says 0.
fn parse(serial: &str) -> Option<u64> {
    let digits = serial.strip_prefix("0x").unwrap_or(serial);
    u64::from_str_radix(digits, 16).ok().filter(|number| *number != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    /// The tree that kernel 6.1 shows for a region over `serials`, without what nobody reads.
    fn tree(name: &str, serials: &[&str]) -> PathBuf {
        let root = std::env::temp_dir().join(format!("ndctl-cxl-{name}-{}", std::process::id()));
        let devices = root.join("bus");
        fs::create_dir_all(devices.join("region2")).unwrap();
        for (n, serial) in serials.iter().enumerate() {
            let (endpoint, memory) = (
                root.join(format!("port{n}/endpoint{n}")),
                root.join(format!("pci{n}/mem{n}")),
            );
            fs::create_dir_all(endpoint.join(format!("decoder{n}.0"))).unwrap();
            fs::create_dir_all(&memory).unwrap();
            fs::write(memory.join("serial"), format!("{serial}\n")).unwrap();
            symlink(&memory, endpoint.join("uport")).unwrap();
            symlink(
                endpoint.join(format!("decoder{n}.0")),
                devices.join(format!("decoder{n}.0")),
            )
            .unwrap();
            fs::write(devices.join(format!("region2/target{n}")), format!("decoder{n}.0\n")).unwrap();
        }
        root
    }

    #[test]
    fn serial_numbers_come_in_the_order_of_the_set() {
        let root = tree("order", &["0x5678", "0x1234"]);
        let seen = serial_numbers_in(&root.join("bus"), "region2", 2).unwrap();
        assert_eq!(seen, [Some(0x5678), Some(0x1234)]);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn none_is_not_zero() {
        let root = tree("none", &["0", "0x1234"]);
        let seen = serial_numbers_in(&root.join("bus"), "region2", 3).unwrap();
        assert_eq!(seen, [None, Some(0x1234), None]);
        assert_eq!(serial_numbers_in(&root.join("bus"), "region7", 1).unwrap(), [None]);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn one_that_cannot_be_read_is_an_error() {
        let root = tree("unreadable", &["0x1234"]);
        fs::remove_file(root.join("pci0/mem0/serial")).unwrap();
        fs::create_dir(root.join("pci0/mem0/serial")).unwrap();
        assert!(serial_numbers_in(&root.join("bus"), "region2", 1).is_err());
        fs::remove_dir_all(root).unwrap();
    }
}
