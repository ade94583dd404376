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

/// An empty label area with room for a few labels only: both blocks of its index say that it has so many slots, of which the kernel
/// keeps one for updates (`struct nd_namespace_index` in `drivers/nvdimm/label.h`).
pub(super) fn with_slots(empty: &[u8], slots: u32) -> Result<Vec<u8>> {
    let size = empty.get(32..40).context("no index")?;
    let size = usize::try_from(u64::from_le_bytes(size.try_into()?))?;
    let mut area = empty.to_vec();
    for block in area.chunks_exact_mut(size).take(2) {
        block[56..60].copy_from_slice(&slots.to_le_bytes());
        block[64..72].fill(0);
        let sum = checksum(block);
        block[64..72].copy_from_slice(&sum.to_le_bytes());
    }
    Ok(area)
}

/// `nd_fletcher64` in `drivers/nvdimm/core.c`.
fn checksum(block: &[u8]) -> u64 {
    let (words, _) = block.as_chunks();
    let (mut low, mut high) = (0_u32, 0_u32);
    for word in words {
        low = low.wrapping_add(u32::from_le_bytes(*word));
        high = high.wrapping_add(low);
    }
    u64::from(high) << 32 | u64::from(low)
}
