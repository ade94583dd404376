//! What a loop device shows: the kernel tells it by an ioctl only.

use std::fs::File;
use std::io;

use rustix::io::Errno;
use rustix::ioctl::{Getter, ioctl};

/// `LOOP_GET_STATUS64` in `include/uapi/linux/loop.h`.
const GET_STATUS: rustix::ioctl::Opcode = 0x4C05;

/// `struct loop_info64` in `include/uapi/linux/loop.h`.
#[repr(C)]
struct LoopInfo {
    /// The device that the backing file is on, its inode there, and the device that it is.
    device: u64,
    inode: u64,
    backing: u64,
    offset_and_limit: [u64; 2],
    number_encryption_and_flags: [u32; 4],
    names_and_key: [u8; 64 + 64 + 32],
    init: [u64; 2],
}

/// The number of the device that an attached loop device shows, as stat(2) has it in `st_rdev`; 0 if it shows a plain file.
/// None if nothing is attached.
///
/// The path in sysfs does not tell: it is that of the mount namespace in which the device was attached.
///
/// # Errors
/// `loop_device` is no loop device, or what the kernel says.
pub fn device_behind(loop_device: &File) -> io::Result<Option<u64>> {
    // SAFETY: this number is that of LOOP_GET_STATUS64, for which the kernel writes a `struct loop_info64`.
    let status = unsafe { Getter::<GET_STATUS, LoopInfo>::new() };
    // SAFETY: as above. Drivers of other block devices answer a number that they do not know with ENOTTY, and write nothing.
    match unsafe { ioctl(loop_device, status) } {
        Ok(info) => Ok(Some(info.backing)),
        Err(Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_size_that_the_kernel_writes() {
        assert_eq!(size_of::<LoopInfo>(), 232);
    }

    #[test]
    fn what_is_no_loop_device_is_an_error() {
        let file = File::open("/dev/null").unwrap();
        assert!(device_behind(&file).is_err());
    }
}
