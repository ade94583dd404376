//! Every byte of a namespace.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::thread;

use placement::Bytes;

/// Every byte of a namespace, open for one caller. Dropping it closes them.
pub trait RawBytes: Send + Sync {
    /// How many there are.
    fn size(&self) -> Bytes;

    /// By how many threads they are written fastest.
    fn lanes(&self) -> usize {
        1
    }

    /// How many from the first on an erasure made zero that was interrupted, also after a power loss. Somebody may have written
    /// there since.
    fn erased(&self) -> Bytes;

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// EIO for bad blocks; other errors of the device.
    fn read(&self, offset: Bytes, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes zeros. `zeros` is a buffer of nothing else.
    ///
    /// # Errors
    /// EIO for bad blocks that the device cannot clear; other errors of the device.
    fn write_zeros(&self, offset: Bytes, zeros: &[u8]) -> io::Result<()>;

    /// Returns when everything that was written survives a power loss.
    ///
    /// # Errors
    /// What was written may be lost at a power loss: treat it as not written.
    fn flush(&self) -> io::Result<()>;
}

/// The bytes of a file or block device.
#[derive(Debug)]
pub struct RawFile {
    /// Open for reading and writing.
    pub file: File,
    /// How many bytes there are.
    pub size: Bytes,
    /// What [`RawBytes::erased`] answers.
    pub erased: Bytes,
}

/// One processor does not fill an interleave set, and a few do. Others are left to the pods.
const MOST_LANES: usize = 4;

impl RawBytes for RawFile {
    fn size(&self) -> Bytes {
        self.size
    }

    fn erased(&self) -> Bytes {
        self.erased
    }

    fn lanes(&self) -> usize {
        thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2).min(MOST_LANES))
    }

    fn read(&self, offset: Bytes, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset.get_u64())
    }

    fn write_zeros(&self, offset: Bytes, zeros: &[u8]) -> io::Result<()> {
        self.file.write_all_at(zeros, offset.get_u64())
    }

    fn flush(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}
