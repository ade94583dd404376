//! A label area as the module holds it, changed behind the back of the kernel in the guest.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};

use crate::harness::vm::DeviceBytes;

/// Longer than index and labels of any test.
const BEGINNING: usize = 64 << 10;

/// The beginning of a label area: QEMU maps its file, so that a running guest's next command to the module reads what is
/// written here.
pub(super) fn read(area: &DeviceBytes) -> Result<Vec<u8>> {
    let mut bytes = vec![0; BEGINNING];
    let file = File::open(&area.file).with_context(|| format!("opening {}", area.file.display()))?;
    file.read_exact_at(&mut bytes, area.start.get_u64())
        .context("reading a label area")?;
    Ok(bytes)
}

/// Puts back what [`read`] gave, or a changed copy of it.
pub(super) fn write(area: &DeviceBytes, bytes: &[u8]) -> Result<()> {
    let file = OpenOptions::new().write(true).open(&area.file);
    let file = file.with_context(|| format!("opening {}", area.file.display()))?;
    file.write_all_at(bytes, area.start.get_u64())
        .context("writing a label area")
}
