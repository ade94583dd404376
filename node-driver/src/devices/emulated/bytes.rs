//! All bytes of an emulated namespace.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use placement::Bytes;
use rustix::fs::{FallocateFlags, fallocate};

use crate::devices::raw_bytes::RawBytes;

/// A sparse file: zeros take no space in it.
pub(super) struct SparseBytes {
    pub(super) file: File,
    pub(super) size: Bytes,
}

impl RawBytes for SparseBytes {
    fn size(&self) -> Bytes {
        self.size
    }

    /// Erasing takes no time.
    fn erased(&self) -> Bytes {
        Bytes::ZERO
    }

    fn read(&self, offset: Bytes, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset.get_u64())
    }

    fn write_zeros(&self, offset: Bytes, zeros: &[u8]) -> io::Result<()> {
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match fallocate(&self.file, hole, offset.get_u64(), zeros.len() as u64) {
            Err(rustix::io::Errno::OPNOTSUPP) => self.file.write_all_at(zeros, offset.get_u64()),
            done => Ok(done?),
        }
    }

    fn flush(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}
