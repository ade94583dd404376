//! The bytes of a region behind the back of the kernel: what a module would show on another machine.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, ensure};
use placement::{Bytes, Extent};

use crate::harness::vm::DeviceBytes;

/// What an earlier tenant may have left. No label, file system or pattern of ours has two of them.
const DIRT: u8 = 0xAA;
const CHUNK: Bytes = Bytes::mib(1);

/// All bytes of an extent.
pub(super) fn read(device: &DeviceBytes, extent: Extent) -> Result<Vec<u8>> {
    let (file, start) = opened(device, extent)?;
    let mut bytes = vec![0; usize::try_from(extent.size.get_u64())?];
    file.read_exact_at(&mut bytes, start).context("reading a module")?;
    Ok(bytes)
}

/// The place of the first chunk of an extent that has a byte other than zero, in the region.
pub(super) fn first_not_zero(device: &DeviceBytes, extent: Extent) -> Result<Option<Bytes>> {
    let zeros = vec![0; usize::try_from(CHUNK.get_u64())?];
    for chunk in chunks(extent) {
        let bytes = read(device, chunk)?;
        if zeros.get(..bytes.len()) != Some(bytes.as_slice()) {
            return Ok(Some(chunk.start));
        }
    }
    Ok(None)
}

/// Leaves bytes of an earlier tenant in an extent that is free.
pub(super) fn make_dirty(device: &DeviceBytes, extent: Extent) -> Result<()> {
    let dirt = vec![DIRT; usize::try_from(CHUNK.get_u64())?];
    for chunk in chunks(extent) {
        let (file, start) = opened(device, chunk)?;
        let length = usize::try_from(chunk.size.get_u64())?;
        let bytes = dirt.get(..length).unwrap_or_default();
        file.write_all_at(bytes, start).context("writing to a module")?;
    }
    Ok(())
}

fn opened(device: &DeviceBytes, extent: Extent) -> Result<(File, u64)> {
    ensure!(extent.end() <= device.size, "{extent:?} is not within {device:?}");
    let file = OpenOptions::new().read(true).write(true).open(&device.file);
    let file = file.with_context(|| format!("opening {}", device.file.display()))?;
    Ok((file, device.start.plus(extent.start).get_u64()))
}

fn chunks(extent: Extent) -> impl Iterator<Item = Extent> {
    let mut rest = extent;
    std::iter::from_fn(move || {
        let chunk = Extent::new(rest.start, rest.size.min(CHUNK));
        rest = Extent::new(chunk.end(), rest.size.minus(chunk.size));
        (!chunk.size.is_zero()).then_some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dirt_is_found_where_it_is_and_nowhere_else() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(8 << 20).unwrap();
        let device = DeviceBytes {
            file: file.path().to_owned(),
            start: Bytes::mib(1),
            size: Bytes::mib(6),
        };
        let extent = |start, size| Extent::new(Bytes::kib(start), Bytes::kib(size));
        make_dirty(&device, extent(1024, 1536)).unwrap();
        assert_eq!(first_not_zero(&device, extent(0, 1024)).unwrap(), None);
        assert_eq!(first_not_zero(&device, extent(2560, 3584)).unwrap(), None);
        assert_eq!(first_not_zero(&device, extent(0, 1025)).unwrap(), Some(Bytes::mib(1)));
        assert_eq!(read(&device, extent(2559, 1)).unwrap(), vec![DIRT; 1024]);
        read(&device, extent(0, 6145)).unwrap_err();
    }
}
