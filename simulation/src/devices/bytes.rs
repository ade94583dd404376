//! Every byte of a namespace, as the driver reads and zeroes it.

use std::io;

use node_driver::devices::RawBytes;
use placement::{Bytes, Extent};
use rustix::io::Errno;

use super::faults::Call;
use super::fuse::Fuse;
use super::granules::{GRANULE, granules_of};
use super::machine::Machine;
use super::state::State;
use super::tag::{Serial, Tag};

/// What is read of a granule that is not zero.
const NOT_ZERO: u8 = 0xAA;
/// Bytes that make a granule differ from zeros; all of it would take longer.
const PATTERN: usize = 8;

/// The raw bytes of a namespace, open for one run.
pub(super) struct ModelBytes {
    pub(super) machine: Machine,
    pub(super) fuse: Fuse,
    pub(super) volume: String,
    pub(super) serial: Serial,
    pub(super) handle: u64,
    pub(super) size: Bytes,
    pub(super) erased: Bytes,
}

impl ModelBytes {
    /// The region, and the part of it that is asked for.
    fn part(&self, state: &State, offset: Bytes, length: usize) -> io::Result<(usize, Extent)> {
        let found = state.namespace(self.serial).ok_or(Errno::NXIO)?;
        let region = state.regions.get(found.region).filter(|region| region.is_listed);
        region.ok_or(Errno::NXIO)?;
        let length = u64::try_from(length).ok().and_then(|length| length.try_into().ok());
        let part = Extent::new(found.extent.start.plus(offset), length.unwrap_or_default());
        if part.end() > found.extent.end() {
            return Err(Errno::NOSPC.into());
        }
        Ok((found.region, part))
    }

    fn write(&self, state: &mut State, offset: Bytes, length: usize) -> io::Result<()> {
        let (region, part) = self.part(state, offset, length)?;
        if let Some(error) = state.faults.refuses(Call::WriteZeros) {
            return Err(error);
        }
        if state.regions[region].has_bad(part) {
            return Err(Errno::IO.into());
        }
        state.must_not_be_theirs(self.serial, "erased");
        state.must_stay_expendable(self.serial);
        state.regions[region].write_cached(part, Tag::Zero);
        Ok(())
    }

    fn sync(&self, state: &mut State) -> io::Result<()> {
        let (region, all) = self.part(state, Bytes::ZERO, 0)?;
        if let Some(error) = state.faults.refuses(Call::Flush) {
            return Err(error);
        }
        state.regions[region].flush(Extent::new(all.start, self.size));
        Ok(())
    }
}

impl RawBytes for ModelBytes {
    fn size(&self) -> Bytes {
        self.size
    }

    fn erased(&self) -> Bytes {
        self.erased
    }

    fn read(&self, offset: Bytes, buffer: &mut [u8]) -> io::Result<()> {
        self.fuse.check().map_err(io::Error::other)?;
        let mut state = self.machine.state();
        state.raw_reads += 1;
        let (region, part) = self.part(&state, offset, buffer.len())?;
        let region = &state.regions[region];
        if region.has_bad(part) {
            return Err(Errno::IO.into());
        }
        let first = granules_of(part).start;
        for (run, tag) in region.shown.runs(granules_of(part)) {
            let bytes = buffer.get_mut(byte(run.start - first)..byte(run.end - first).min(part_length(part)));
            show(tag, bytes.unwrap_or_default());
        }
        Ok(())
    }

    fn write_zeros(&self, offset: Bytes, zeros: &[u8]) -> io::Result<()> {
        self.machine.wait_until_let_go(&self.volume);
        let written = self
            .fuse
            .effect(|| self.write(&mut self.machine.state(), offset, zeros.len()));
        written.map_err(io::Error::other)?
    }

    fn flush(&self) -> io::Result<()> {
        let flushed = self.fuse.effect(|| self.sync(&mut self.machine.state()));
        flushed.map_err(io::Error::other)?
    }
}

impl Drop for ModelBytes {
    fn drop(&mut self) {
        self.machine.state().close_raw(self.serial, self.handle);
    }
}

/// What is in the buffer where nothing is written stays: those are somebody's bytes as well.
fn show(tag: Tag, bytes: &mut [u8]) {
    if tag == Tag::Zero {
        bytes.fill(0);
        return;
    }
    for granule in bytes.chunks_mut(byte(1)) {
        let end = granule.len().min(PATTERN);
        granule[..end].fill(NOT_ZERO);
    }
}

fn byte(granule: u64) -> usize {
    usize::try_from(granule.saturating_mul(GRANULE.get_u64())).unwrap_or(usize::MAX)
}

fn part_length(part: Extent) -> usize {
    usize::try_from(part.size.get_u64()).unwrap_or(usize::MAX)
}
