//! One pass over every byte of a namespace, after which all are zero.

use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use placement::{Bytes, Extent};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use crate::devices::RawBytes;

/// Written or read at once: enough to stream, and little enough to stop soon.
const CHUNK: Bytes = Bytes::mib(1);
/// What direct I/O wants its buffers aligned to.
const PAGE: usize = 4096;

/// How far a pass has come, and whether it should stop.
#[derive(Debug, Default)]
pub struct Progress {
    zeroed: AtomicI64,
    stop: CancellationToken,
}

/// What a pass that came to its end left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zeroed {
    /// Every byte is zero.
    All,
    /// Some cannot be zeroed: bad blocks that the device does not clear. All others are zero.
    AllBut {
        /// Offset of the first chunk with such bytes.
        first: Bytes,
        /// Bytes in all such chunks.
        size: Bytes,
    },
}

/// Why a pass did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum ZeroError {
    /// The driver is shutting down; it starts again after that.
    #[error("stopped on request")]
    Stopped,
    /// The device takes no zeros, and that is not for single bad blocks.
    #[error("cannot write to the device (see dmesg, and `ndctl list --dimms --health`)")]
    Write(#[source] io::Error),
    /// The device does not confirm that the zeros survive a power loss.
    #[error("cannot flush zeros to the device (see dmesg, and `ndctl list --dimms --health`)")]
    Flush(#[source] io::Error),
}

impl Progress {
    /// Of a pass that has not begun. It ends at `stop`.
    #[must_use]
    pub fn new(stop: CancellationToken) -> Self {
        Self {
            zeroed: AtomicI64::new(0),
            stop,
        }
    }

    /// Bytes that are zero.
    #[must_use]
    pub fn zeroed(&self) -> Bytes {
        Bytes::try_from(self.zeroed.load(Ordering::Relaxed)).unwrap_or_default()
    }
}

/// Writes zeros over every byte.
///
/// # Errors
/// The device takes no zeros or does not flush, or the pass was stopped.
pub fn erase(bytes: &dyn RawBytes, progress: &Progress) -> Result<Zeroed, ZeroError> {
    let zeros = Buffer::new();
    pass(bytes, progress, || {
        |offset, length| bytes.write_zeros(offset, zeros.first(length))
    })
}

/// Reads every byte, and writes zeros where something else is.
///
/// # Errors
/// The device takes no zeros or does not flush, or the pass was stopped.
pub fn scrub(bytes: &dyn RawBytes, progress: &Progress) -> Result<Zeroed, ZeroError> {
    let zeros = Buffer::new();
    pass(bytes, progress, || {
        let (zeros, mut buffer) = (&zeros, Buffer::new());
        move |offset, length| {
            let zero = zeros.first(length);
            let found = buffer.first_mut(length);
            // Writing may clear what cannot be read.
            match bytes.read(offset, found) {
                Ok(()) if found == zero => Ok(()),
                Ok(()) | Err(_) => bytes.write_zeros(offset, zero),
            }
        }
    })
}

/// One pass, in as many lanes as make it faster: each acts in its own way on a part of the bytes.
fn pass<A: FnMut(Bytes, usize) -> io::Result<()>>(
    bytes: &dyn RawBytes,
    progress: &Progress,
    lane: impl Fn() -> A + Sync,
) -> Result<Zeroed, ZeroError> {
    let parts = parts(bytes.size(), bytes.lanes());
    let run = |part: Extent| each_chunk(part, progress, lane());
    let zeroed = match parts[..] {
        [only] => run(only)?,
        _ => side_by_side(&parts, run)?,
    };
    bytes.flush().map_err(ZeroError::Flush)?;
    match zeroed {
        // A device that takes nothing at all has another trouble than bad blocks.
        Zeroed::AllBut { size, .. } if size == bytes.size() => Err(ZeroError::Write(Errno::IO.into())),
        Zeroed::All | Zeroed::AllBut { .. } => Ok(zeroed),
    }
}

/// One part of the bytes for each lane, each of whole chunks but for the last.
fn parts(size: Bytes, lanes: usize) -> Vec<Extent> {
    let lanes = i64::try_from(lanes).unwrap_or(1).max(1);
    let each = Bytes::try_from(size.get() / lanes)
        .unwrap_or(size)
        .round_up(CHUNK)
        .max(CHUNK);
    let mut parts = Vec::new();
    let mut start = Bytes::ZERO;
    while start < size {
        parts.push(Extent::new(start, each.min(size.minus(start))));
        start = start.plus(each);
    }
    parts
}

fn side_by_side(
    parts: &[Extent],
    run: impl Fn(Extent) -> Result<Zeroed, ZeroError> + Sync,
) -> Result<Zeroed, ZeroError> {
    let ended: Vec<_> = thread::scope(|scope| {
        let begun: Vec<_> = parts.iter().map(|part| scope.spawn(|| run(*part))).collect();
        begun.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    let died = |_| ZeroError::Write(io::Error::other("a thread that writes died"));
    ended
        .into_iter()
        .try_fold(Zeroed::All, |all, part| Ok(all.and(part.map_err(died)??)))
}

fn each_chunk(
    part: Extent,
    progress: &Progress,
    mut act: impl FnMut(Bytes, usize) -> io::Result<()>,
) -> Result<Zeroed, ZeroError> {
    let mut zeroed = Zeroed::All;
    let mut offset = part.start;
    while offset < part.end() {
        if progress.stop.is_cancelled() {
            return Err(ZeroError::Stopped);
        }
        let chunk = CHUNK.min(part.end().minus(offset));
        match act(offset, length(chunk)) {
            Ok(()) => _ = progress.zeroed.fetch_add(chunk.get(), Ordering::Relaxed),
            Err(error) if is_bad_block(&error) => {
                zeroed = zeroed.and(Zeroed::AllBut {
                    first: offset,
                    size: chunk,
                });
            }
            Err(error) => return Err(ZeroError::Write(error)),
        }
        offset = offset.plus(chunk);
    }
    Ok(zeroed)
}

impl Zeroed {
    /// What two parts are together.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, one) | (one, Self::All) => one,
            (
                Self::AllBut { first, size },
                Self::AllBut {
                    first: second,
                    size: more,
                },
            ) => Self::AllBut {
                first: first.min(second),
                size: size.plus(more),
            },
        }
    }
}

/// What the kernel answers for bad blocks that the device does not clear (`pmem_do_write` in `drivers/nvdimm/pmem.c`).
fn is_bad_block(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::IO.raw_os_error())
}

fn length(chunk: Bytes) -> usize {
    usize::try_from(chunk.get_u64()).unwrap_or_default()
}

/// Memory for one chunk, aligned for direct I/O.
struct Buffer {
    memory: Vec<u8>,
    start: usize,
}

impl Buffer {
    fn new() -> Self {
        let memory = vec![0; length(CHUNK) + PAGE];
        let start = memory.as_ptr().align_offset(PAGE).min(PAGE);
        Self { memory, start }
    }

    fn first(&self, length: usize) -> &[u8] {
        &self.memory[self.start..self.start + length]
    }

    fn first_mut(&mut self, length: usize) -> &mut [u8] {
        &mut self.memory[self.start..self.start + length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::RawFile;
    use std::fs;

    fn file(content: &[u8]) -> (tempfile::NamedTempFile, RawFile) {
        let path = tempfile::NamedTempFile::new().unwrap();
        fs::write(path.path(), content).unwrap();
        let file = fs::OpenOptions::new().read(true).write(true).open(path.path()).unwrap();
        let size = Bytes::try_from(content.len() as u64).unwrap();
        (path, RawFile { file, size })
    }

    fn dirty() -> Vec<u8> {
        let mut content = vec![0; 3 * length(CHUNK) + 8192];
        content[length(CHUNK) + 1] = 1;
        *content.last_mut().unwrap() = 1;
        content
    }

    #[test]
    fn every_byte_becomes_zero() {
        for zero in [erase, scrub] {
            let (path, raw) = file(&dirty());
            let progress = Progress::default();
            assert_eq!(zero(&raw, &progress).unwrap(), Zeroed::All);
            let content = fs::read(path.path()).unwrap();
            assert!(content.len() == dirty().len() && content.iter().all(|byte| *byte == 0));
            assert_eq!(progress.zeroed(), raw.size);
        }
    }

    #[test]
    fn stops_on_request() {
        let (path, raw) = file(&dirty());
        let stop = CancellationToken::new();
        stop.cancel();
        let stopped = erase(&raw, &Progress::new(stop));
        assert!(matches!(stopped, Err(ZeroError::Stopped)));
        assert_eq!(fs::read(path.path()).unwrap(), dirty());
    }

    /// Some chunks cannot be written.
    struct Failing {
        raw: RawFile,
        error: Errno,
        is_bad: fn(Bytes) -> bool,
        lanes: usize,
    }

    impl RawBytes for Failing {
        fn lanes(&self) -> usize {
            self.lanes
        }
        fn size(&self) -> Bytes {
            self.raw.size
        }
        fn read(&self, offset: Bytes, buffer: &mut [u8]) -> io::Result<()> {
            if (self.is_bad)(offset) {
                return Err(self.error.into());
            }
            self.raw.read(offset, buffer)
        }
        fn write_zeros(&self, offset: Bytes, zeros: &[u8]) -> io::Result<()> {
            if (self.is_bad)(offset) {
                return Err(self.error.into());
            }
            self.raw.write_zeros(offset, zeros)
        }
        fn flush(&self) -> io::Result<()> {
            self.raw.flush()
        }
    }

    type Pass = fn(&dyn RawBytes, &Progress) -> Result<Zeroed, ZeroError>;

    #[test]
    fn lanes_have_each_byte_once() {
        for size in [1, 4096, CHUNK.get(), 7 * CHUNK.get() + 4096] {
            for lanes in 0..12 {
                let size = Bytes::try_from(size).unwrap();
                let parts = parts(size, lanes);
                assert!(parts.len() <= lanes.max(1), "{parts:?}");
                assert!(parts[0].start.is_zero() && parts.last().unwrap().end() == size);
                assert!(parts.windows(2).all(|pair| pair[0].end() == pair[1].start));
            }
        }
    }

    #[test]
    fn what_cannot_be_zeroed_is_named_and_the_rest_is_zero() {
        let passes: [(Pass, usize); 5] = [(erase, 1), (erase, 3), (scrub, 1), (scrub, 2), (scrub, 9)];
        for (zero, lanes) in passes {
            let (path, raw) = file(&dirty());
            let is_bad = |offset| offset == CHUNK;
            let failing = Failing {
                raw,
                error: Errno::IO,
                is_bad,
                lanes,
            };
            let zeroed = zero(&failing, &Progress::default()).unwrap();
            assert_eq!(
                zeroed,
                Zeroed::AllBut {
                    first: CHUNK,
                    size: CHUNK
                }
            );
            let content = fs::read(path.path()).unwrap();
            assert_eq!(content.iter().filter(|byte| **byte != 0).count(), 1);
        }
    }

    #[test]
    fn a_device_that_fails_otherwise_has_no_bad_blocks() {
        let all: fn(Bytes) -> bool = |_| true;
        let one: fn(Bytes) -> bool = |offset| offset == CHUNK;
        for (error, is_bad) in [(Errno::IO, all), (Errno::NXIO, one), (Errno::ROFS, one)] {
            for zero in [erase, scrub] {
                let (_path, raw) = file(&dirty());
                let failing = Failing {
                    raw,
                    error,
                    is_bad,
                    lanes: 2,
                };
                let failed = zero(&failing, &Progress::default());
                assert!(matches!(failed, Err(ZeroError::Write(_))), "{failed:?}");
            }
        }
    }
}
