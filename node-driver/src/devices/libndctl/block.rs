//! Properties of a block device, from sysfs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use placement::Bytes;

/// The unit of `size` in sysfs, whatever the device's own sectors are.
const SECTOR: i64 = 512;

/// All bytes of a block device in `/dev`.
pub(super) fn size(device: &Path) -> io::Result<Bytes> {
    let text = fs::read_to_string(attribute(device, "size"))?;
    let sectors: i64 = text.trim().parse().map_err(io::Error::other)?;
    Bytes::try_from(sectors.saturating_mul(SECTOR)).map_err(io::Error::other)
}

/// Whether files on it can be mapped directly; false if the kernel does not show it.
pub(super) fn has_dax(device: &Path) -> bool {
    fs::read_to_string(attribute(device, "queue/dax")).is_ok_and(|text| text.trim() == "1")
}

fn attribute(device: &Path, name: &str) -> PathBuf {
    let device = device.file_name().unwrap_or_default();
    Path::new("/sys/class/block").join(device).join(name)
}
