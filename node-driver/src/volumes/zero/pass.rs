//! One pass over every byte of a namespace, after which all are zero.

use std::io;
use std::sync::atomic::{AtomicI64, Ordering};

use placement::Bytes;
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

/// Why not every byte is zero.
#[derive(Debug, thiserror::Error)]
pub enum ZeroError {
    /// The driver is shutting down; it starts again after that.
    #[error("stopped on request")]
    Stopped,
    /// Some bytes can be neither read nor written; all others are zero.
    #[error("{size} from offset {first} on cannot be zeroed: bad blocks that the device does not clear")]
    BadBlocks {
        /// Offset of the first chunk with such bytes.
        first: Bytes,
        /// Bytes in all such chunks.
        size: Bytes,
        #[source]
        source: io::Error,
    },
    /// The device does not confirm that the zeros survive a power loss.
    #[error("cannot flush zeros to the device")]
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
/// Some bytes cannot be written (all others are zero then), the device does not flush, or the pass was stopped.
pub fn erase(bytes: &dyn RawBytes, progress: &Progress) -> Result<(), ZeroError> {
    let zeros = Buffer::new();
    each_chunk(bytes, progress, |offset, length| {
        bytes.write_zeros(offset, zeros.first(length))
    })
}

/// Reads every byte, and writes zeros where something else is.
///
/// # Errors
/// Some bytes can be neither read nor written (all others are zero then), the device does not flush, or the pass was stopped.
pub fn scrub(bytes: &dyn RawBytes, progress: &Progress) -> Result<(), ZeroError> {
    let zeros = Buffer::new();
    let mut buffer = Buffer::new();
    each_chunk(bytes, progress, |offset, length| {
        let zero = zeros.first(length);
        let found = buffer.first_mut(length);
        // Writing may clear what cannot be read.
        match bytes.read(offset, found) {
            Ok(()) if found == zero => Ok(()),
            Ok(()) | Err(_) => bytes.write_zeros(offset, zero),
        }
    })
}

fn each_chunk(
    bytes: &dyn RawBytes,
    progress: &Progress,
    mut act: impl FnMut(Bytes, usize) -> io::Result<()>,
) -> Result<(), ZeroError> {
    let mut bad: Option<(Bytes, Bytes, io::Error)> = None;
    let mut offset = Bytes::ZERO;
    while offset < bytes.size() {
        if progress.stop.is_cancelled() {
            return Err(ZeroError::Stopped);
        }
        let chunk = CHUNK.min(bytes.size().minus(offset));
        match (act(offset, length(chunk)), &mut bad) {
            (Ok(()), _) => _ = progress.zeroed.fetch_add(chunk.get(), Ordering::Relaxed),
            (Err(_), Some((_, size, _))) => *size = size.plus(chunk),
            (Err(error), None) => bad = Some((offset, chunk, error)),
        }
        offset = offset.plus(chunk);
    }
    bytes.flush().map_err(ZeroError::Flush)?;
    match bad {
        Some((first, size, source)) => Err(ZeroError::BadBlocks { first, size, source }),
        None => Ok(()),
    }
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
            zero(&raw, &progress).unwrap();
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

    struct Bad(RawFile);

    impl RawBytes for Bad {
        fn size(&self) -> Bytes {
            self.0.size
        }
        fn read(&self, offset: Bytes, buffer: &mut [u8]) -> io::Result<()> {
            self.0.read(offset, buffer)
        }
        fn write_zeros(&self, offset: Bytes, zeros: &[u8]) -> io::Result<()> {
            if offset == CHUNK {
                return Err(io::Error::other("poison"));
            }
            self.0.write_zeros(offset, zeros)
        }
        fn flush(&self) -> io::Result<()> {
            self.0.flush()
        }
    }

    #[test]
    fn what_cannot_be_zeroed_is_named_and_the_rest_is_zero() {
        for zero in [erase, scrub] {
            let (path, raw) = file(&dirty());
            match zero(&Bad(raw), &Progress::default()) {
                Err(ZeroError::BadBlocks { first, size, .. }) => assert_eq!((first, size), (CHUNK, CHUNK)),
                other => panic!("{other:?}"),
            }
            let content = fs::read(path.path()).unwrap();
            assert_eq!(content.iter().filter(|byte| **byte != 0).count(), 1);
        }
    }
}
