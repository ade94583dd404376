//! One pass over every byte of a namespace, after which all are zero.

use std::io;
use std::num::NonZeroUsize;
use std::thread;

use placement::{Bytes, Extent};
use rustix::io::Errno;

use super::chunks::{CHUNK, Chunks};
use super::progress::Progress;
use crate::devices::RawBytes;

/// What direct I/O wants its buffers aligned to.
const PAGE: usize = 4096;

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

/// Writes zeros over every byte. Those that an earlier erasure is known to have made zero are read first.
///
/// # Errors
/// The device takes no zeros or does not flush, or the pass was stopped.
pub fn erase(bytes: &dyn RawBytes, progress: &Progress) -> Result<Zeroed, ZeroError> {
    let zeros = Buffer::new();
    pass(bytes, progress, lanes(bytes), || {
        let (zeros, mut look) = (&zeros, None);
        move |chunk| {
            let zero = zeros.first(length(chunk));
            // It is not written twice, nor taken for granted: its block device was there for anybody meanwhile.
            if chunk.end() <= bytes.erased() && is_zero(bytes, chunk, zero, look.get_or_insert_with(Buffer::new)) {
                return Ok(());
            }
            bytes.write_zeros(chunk.start, zero)
        }
    })
}

/// Writes zeros over every byte that is not `known` to be zero. By one thread, so that those who use the memory notice little of it.
///
/// # Errors
/// As [`erase`].
pub fn erase_quietly(bytes: &dyn RawBytes, known: &[Extent], progress: &Progress) -> Result<Zeroed, ZeroError> {
    let zeros = Buffer::new();
    pass(bytes, progress, NonZeroUsize::MIN, || {
        |chunk: Extent| {
            if known.iter().any(|known| known.contains(chunk)) {
                return Ok(());
            }
            bytes.write_zeros(chunk.start, zeros.first(length(chunk)))
        }
    })
}

/// Reads every byte, and writes zeros where something else is.
///
/// # Errors
/// The device takes no zeros or does not flush, or the pass was stopped.
pub fn scrub(bytes: &dyn RawBytes, progress: &Progress) -> Result<Zeroed, ZeroError> {
    let zeros = Buffer::new();
    pass(bytes, progress, lanes(bytes), || {
        let (zeros, mut look) = (&zeros, Buffer::new());
        move |chunk| {
            let zero = zeros.first(length(chunk));
            if is_zero(bytes, chunk, zero, &mut look) {
                return Ok(());
            }
            bytes.write_zeros(chunk.start, zero)
        }
    })
}

fn lanes(bytes: &dyn RawBytes) -> NonZeroUsize {
    NonZeroUsize::new(bytes.lanes()).unwrap_or(NonZeroUsize::MIN)
}

/// Whether the bytes of a chunk are as `zero`. What cannot be read is not: writing may clear it.
fn is_zero(bytes: &dyn RawBytes, chunk: Extent, zero: &[u8], buffer: &mut Buffer) -> bool {
    let found = buffer.first_mut(zero.len());
    bytes.read(chunk.start, found).is_ok() && found == zero
}

/// One pass, in so many lanes: each acts in its own way on the chunks that it takes.
fn pass<A: FnMut(Extent) -> io::Result<()>>(
    bytes: &dyn RawBytes,
    progress: &Progress,
    lanes: NonZeroUsize,
    lane: impl Fn() -> A + Sync,
) -> Result<Zeroed, ZeroError> {
    let chunks = Chunks::of(bytes.size());
    let run = || each_chunk(bytes, &chunks, progress, lane());
    let zeroed = match lanes.get() {
        1 => run(),
        many => side_by_side(many, run),
    };
    // Also of one that was stopped: what it did counts.
    let flushed = progress.flush(bytes);
    let zeroed = zeroed?;
    flushed?;
    match zeroed {
        // A device that takes nothing at all has another trouble than bad blocks.
        Zeroed::AllBut { size, .. } if size == bytes.size() => Err(ZeroError::Write(Errno::IO.into())),
        zeroed @ (Zeroed::All | Zeroed::AllBut { .. }) => Ok(zeroed),
    }
}

fn side_by_side(lanes: usize, run: impl Fn() -> Result<Zeroed, ZeroError> + Sync) -> Result<Zeroed, ZeroError> {
    let ended: Vec<_> = thread::scope(|scope| {
        let begun: Vec<_> = (0..lanes).map(|_| scope.spawn(&run)).collect();
        begun.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    let died = |_| ZeroError::Write(io::Error::other("a thread that writes died"));
    ended
        .into_iter()
        .try_fold(Zeroed::All, |all, lane| Ok(all.and(lane.map_err(died)??)))
}

fn each_chunk(
    bytes: &dyn RawBytes,
    chunks: &Chunks,
    progress: &Progress,
    mut act: impl FnMut(Extent) -> io::Result<()>,
) -> Result<Zeroed, ZeroError> {
    let mut zeroed = Zeroed::All;
    while let Some(chunk) = chunks.take() {
        progress.wait_for_turn()?;
        match act(chunk) {
            Ok(()) => {
                progress.zeroed_more(chunk.size);
                progress.reached(chunks.done(chunk), bytes)?;
            }
            // It is never done: nobody may take what is before some byte for zero that is behind it.
            Err(error) if is_bad_block(&error) => {
                zeroed = zeroed.and(Zeroed::AllBut {
                    first: chunk.start,
                    size: chunk.size,
                });
            }
            Err(error) => return Err(ZeroError::Write(error)),
        }
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

fn length(chunk: Extent) -> usize {
    length_of(chunk.size)
}

fn length_of(size: Bytes) -> usize {
    usize::try_from(size.get_u64()).unwrap_or_default()
}

/// Memory for one chunk, aligned for direct I/O.
struct Buffer {
    memory: Vec<u8>,
    start: usize,
}

impl Buffer {
    fn new() -> Self {
        let memory = vec![0; length_of(CHUNK) + PAGE];
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
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::devices::RawFile;
    use std::fs;

    fn file(content: &[u8]) -> (tempfile::NamedTempFile, RawFile) {
        let path = tempfile::NamedTempFile::new().unwrap();
        fs::write(path.path(), content).unwrap();
        let file = fs::OpenOptions::new().read(true).write(true).open(path.path()).unwrap();
        let size = Bytes::try_from(content.len() as u64).unwrap();
        (
            path,
            RawFile {
                file,
                size,
                erased: Bytes::ZERO,
            },
        )
    }

    fn dirty() -> Vec<u8> {
        let mut content = vec![0; 3 * length_of(CHUNK) + 8192];
        content[length_of(CHUNK) + 1] = 1;
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
        fn erased(&self) -> Bytes {
            Bytes::ZERO
        }
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

    /// Counts what is written.
    struct Counting {
        raw: RawFile,
        erased: Bytes,
        written: std::sync::Mutex<Vec<Bytes>>,
    }

    impl RawBytes for Counting {
        fn erased(&self) -> Bytes {
            self.erased
        }
        fn size(&self) -> Bytes {
            self.raw.size
        }
        fn read(&self, offset: Bytes, buffer: &mut [u8]) -> io::Result<()> {
            self.raw.read(offset, buffer)
        }
        fn write_zeros(&self, offset: Bytes, zeros: &[u8]) -> io::Result<()> {
            self.written.lock().unwrap().push(offset);
            self.raw.write_zeros(offset, zeros)
        }
        fn flush(&self) -> io::Result<()> {
            self.raw.flush()
        }
    }

    #[test]
    fn an_erasure_goes_on_where_it_was_interrupted() {
        let (_path, raw) = file(&dirty());
        let (erased, written) = (CHUNK.times(2), std::sync::Mutex::default());
        let counting = Counting { raw, erased, written };
        let progress = Progress::default();
        assert_eq!(erase(&counting, &progress).unwrap(), Zeroed::All);
        assert_eq!(progress.zeroed(), counting.size());
        assert_eq!(progress.flushed(), counting.size());
        // Somebody wrote into the second chunk since. The third is not known to be zero.
        assert_eq!(
            *counting.written.lock().unwrap(),
            [CHUNK, CHUNK.times(2), CHUNK.times(3)]
        );
    }

    type Pass = fn(&dyn RawBytes, &Progress) -> Result<Zeroed, ZeroError>;

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
            let progress = Progress::default();
            let zeroed = zero(&failing, &progress).unwrap();
            assert_eq!(
                progress.flushed(),
                CHUNK,
                "what is behind a bad chunk is not known to be zero"
            );
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
