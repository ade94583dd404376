//! The kernel's commands that read the label area of a memory device (`include/uapi/linux/ndctl.h`).
//!
//! libndctl has them too (looked at: 76 to 81), but each read of its keeps as much memory as the label area is large, 128 KiB, until the
//! program ends: `ndctl_cmd_unref` frees the buffer of no command that came from another one. And it sends the offset of an extent
//! to no device (`do_cmd`).

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::ptr;
use std::sync::{Mutex, PoisonError};

use rustix::fs::makedev;
use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, Updater, ioctl, opcode};

use crate::dimm::Dimm;

/// The most that is read by one command. Firmware may allow less.
const PART: usize = 4096;
const COMMANDS: u8 = b'N';
/// `ND_IOCTL_GET_CONFIG_SIZE`.
const GET_SIZE: Opcode = opcode::read_write::<AreaSize>(COMMANDS, 4);
/// `ND_IOCTL_GET_CONFIG_DATA`: it has the size of what is before the bytes.
const GET_PART: Opcode = opcode::read_write::<[u32; 3]>(COMMANDS, 5);

/// `struct nd_cmd_get_config_size`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct AreaSize {
    status: u32,
    size: u32,
    longest_read: u32,
}

/// `struct nd_cmd_get_config_data_hdr`, with room for as many bytes as are asked for at most.
#[repr(C)]
struct AreaPart {
    offset: u32,
    length: u32,
    status: u32,
    bytes: [u8; PART],
}

/// The sizes of label areas that were asked for.
static SIZES: Mutex<BTreeMap<Module, AreaSize>> = Mutex::new(BTreeMap::new());

/// The number of a device, and what it says it is.
type Module = ((u32, u32), Option<String>);

/// A memory device, opened.
pub(crate) struct LabelDevice {
    file: File,
    size: usize,
    longest_read: usize,
}

impl LabelDevice {
    /// # Errors
    /// What the kernel or the device's firmware says; that `/dev` has something else under the name of the device.
    pub(crate) fn open(dimm: Dimm) -> io::Result<Self> {
        // For writing too: a file that is open for reading only is refused the size, because that command has the number which
        // is ND_CMD_CLEAR_ERROR for a bus (`__nd_ioctl` in drivers/nvdimm/bus.c).
        let path = format!("/dev/{}", dimm.device());
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let found = file.metadata()?;
        let (major, minor) = dimm.device_number();
        if !found.file_type().is_char_device() || found.rdev() != makedev(major, minor) {
            return Err(Errno::NXIO.into());
        }
        let area = size_of_area(&file, dimm)?;
        Ok(Self {
            file,
            size: length(area.size)?,
            longest_read: length(area.longest_read)?.clamp(1, PART),
        })
    }

    /// Of the whole label area, in bytes; 0 if there is none.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Reads on until `area` is the first `length` bytes of the label area; fewer if the device gives no more.
    ///
    /// # Errors
    /// What the kernel or the device's firmware says.
    pub(crate) fn read_on(&self, area: &mut Vec<u8>, length: usize) -> io::Result<()> {
        while area.len() < length {
            let wanted = self.longest_read.min(length - area.len());
            let mut part = AreaPart::new(area.len(), wanted)?;
            // SAFETY: the file is that of a memory device.
            let given = unsafe { ioctl(&self.file, ReadPart(&mut part)) }?;
            require_success(part.status)?;
            area.extend(part.bytes.iter().take(given));
            if given < wanted {
                break;
            }
        }
        Ok(())
    }
}

/// Firmware is slow to answer, and each module has the size that it is made with: each is asked once.
fn size_of_area(file: &File, dimm: Dimm) -> io::Result<AreaSize> {
    let module: Module = (dimm.device_number(), dimm.unique_id());
    // An entry is inserted whole, so a panic elsewhere leaves nothing half done.
    let known = || SIZES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = known().get(&module) {
        return Ok(*known);
    }
    let mut area = AreaSize::default();
    // SAFETY: this number is that of ND_IOCTL_GET_CONFIG_SIZE, for which the kernel writes a `struct nd_cmd_get_config_size`.
    unsafe { ioctl(file, Updater::<GET_SIZE, AreaSize>::new(&mut area)) }?;
    require_success(area.status)?;
    // Another one may come in the place of a module that does not say what it is.
    if module.1.is_some() {
        known().insert(module, area);
    }
    Ok(area)
}

impl AreaPart {
    fn new(offset: usize, length: usize) -> io::Result<Self> {
        Ok(Self {
            offset: number(offset)?,
            length: number(length.min(PART))?,
            status: 0,
            bytes: [0; PART],
        })
    }
}

/// Reads a part; the answer is how many bytes of it were given.
struct ReadPart<'a>(&'a mut AreaPart);

// SAFETY: this number is that of ND_IOCTL_GET_CONFIG_DATA, for which the kernel reads a `struct nd_cmd_get_config_data_hdr` and writes
// behind it at most as many bytes as are asked for, for which an `AreaPart` has room.
unsafe impl Ioctl for ReadPart<'_> {
    type Output = usize;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        GET_PART
    }

    fn as_ptr(&mut self) -> *mut c_void {
        ptr::from_mut(self.0).cast()
    }

    unsafe fn output_from_ptr(missing: IoctlOutput, part: *mut c_void) -> rustix::io::Result<usize> {
        // SAFETY: what `as_ptr` gave.
        let part = unsafe { &*part.cast_const().cast::<AreaPart>() };
        // The kernel answers how many bytes the firmware left unwritten.
        let missing = u32::try_from(missing).unwrap_or_default();
        Ok(usize::try_from(part.length.saturating_sub(missing)).unwrap_or_default())
    }
}

fn require_success(status: u32) -> io::Result<()> {
    match status {
        0 => Ok(()),
        other => Err(io::Error::other(format!("the memory device answers status {other:#x}"))),
    }
}

fn length(number: u32) -> io::Result<usize> {
    usize::try_from(number).map_err(io::Error::other)
}

fn number(length: usize) -> io::Result<u32> {
    u32::try_from(length).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_have_the_sizes_that_the_kernel_expects() {
        assert_eq!(size_of::<AreaSize>(), 12);
        assert_eq!(size_of::<AreaPart>(), 12 + PART);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn numbers_are_those_of_the_header() {
        assert_eq!((GET_SIZE, GET_PART), (0xC00C_4E04, 0xC00C_4E05));
    }

    #[test]
    fn a_status_of_the_firmware_is_an_error() {
        assert!(require_success(0).is_ok());
        let error = require_success(0x0003_0003).unwrap_err();
        assert_eq!(error.to_string(), "the memory device answers status 0x30003");
    }
}
