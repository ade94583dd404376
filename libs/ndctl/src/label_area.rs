//! What a memory device holds in its label area, read from the device itself.
//!
//! What the kernel shows of a namespace is what it remembers: it reads a label area when its driver takes the memory device
//! (`nvdimm_probe` in `drivers/nvdimm/dimm.c`), not again when a region is enabled. Only the device says what is there after
//! the next boot.

use std::io;

use crate::dimm::Dimm;
use crate::error::{Error, Operation, check};
use crate::ffi;
use crate::label::{Label, LabelError, Slot};
use crate::label_index::Index;

/// What a memory device's label area holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelArea {
    /// The device has none: its region cannot be divided.
    None,
    /// There is one, but no index was ever written to it: an administrator has to initialise it.
    Uninitialised,
    /// Valid.
    Initialised(Labels),
}

/// The labels of a memory device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// Which index they were found by.
    pub index: IndexId,
    /// Labels that can still be written. The kernel keeps one more for updates.
    pub free_slots: u64,
    /// Those in use, by slot.
    pub labels: Vec<Label>,
    /// The first slots, in use or not: at least one of them is another after each label that anybody writes. To delete a label
    /// changes only the index.
    pub slots: Vec<Slot>,
}

/// Which index is in force: another one after each change of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexId {
    /// Which of the two it is: they take turns.
    pub number: u8,
    /// Counts 1, 2, 3, 1, …
    pub sequence: u32,
    /// Of the index with its list of slots.
    pub checksum: u64,
}

impl Dimm<'_> {
    /// Reads the label area: the index, and as much of the slots as is in use. Writes nothing.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is a label area and it cannot be read, [`Error::Labels`] if what is read is damaged.
    pub fn label_area(self) -> Result<LabelArea, Error> {
        let Some(size) = self.label_area_size()? else {
            return Ok(LabelArea::None);
        };
        let Some(index) = self.index_in(&self.read_area(Index::needs(size))?, size)? else {
            return Ok(LabelArea::Uninitialised);
        };
        let area = self.read_area(index.end())?;
        let labels = index.labels(&area).map_err(|source| self.damaged(source))?;
        let slots = index.slots(&area).map_err(|source| self.damaged(source))?;
        Ok(LabelArea::Initialised(Labels {
            index: index.id(),
            free_slots: index.free_slots(),
            labels,
            slots,
        }))
    }

    /// Reads which index is in force; nothing if there is none.
    ///
    /// # Errors
    /// As [`Dimm::label_area`].
    pub fn label_index(self) -> Result<Option<IndexId>, Error> {
        let Some(size) = self.label_area_size()? else {
            return Ok(None);
        };
        let index = self.index_in(&self.read_area(Index::needs(size))?, size)?;
        Ok(index.map(|index| index.id()))
    }

    fn index_in(self, area: &[u8], size: usize) -> Result<Option<Index>, Error> {
        Index::parse(area, size).map_err(|source| self.damaged(source))
    }

    /// Nothing if the device has no label area.
    fn label_area_size(self) -> Result<Option<usize>, Error> {
        if !self.can(ffi::ND_CMD_GET_CONFIG_SIZE) || !self.can(ffi::ND_CMD_GET_CONFIG_DATA) {
            return Ok(None);
        }
        let command = Command::new(self, ffi::ndctl_dimm_cmd_new_cfg_size(self.get()))?;
        let submitted = ffi::ndctl_cmd_submit_xlat(command.get());
        check(submitted, Operation::Read("size of the label area"), || self.device())?;
        let size = ffi::ndctl_cmd_cfg_size_get_size(command.get());
        Ok(usize::try_from(size).ok().filter(|size| *size > 0))
    }

    /// The first bytes of the label area.
    ///
    /// Always from its start: libndctl (looked at: 76 to 81) sends the offset of an extent to no device and reads from 0
    /// instead (`do_cmd`). The kernel takes the lowest free slot, so that little lies between the slots in use.
    fn read_area(self, length: usize) -> Result<Vec<u8>, Error> {
        let mut area = vec![0; length];
        let Some(wanted) = u32::try_from(length).ok().filter(|length| *length > 0) else {
            return Ok(Vec::new());
        };
        let command = Command::new(self, ffi::ndctl_dimm_read_label_extent(self.get(), wanted, 0))?;
        // SAFETY: `area` has `wanted` bytes.
        let read = unsafe { ffi::ndctl_cmd_cfg_read_get_data(command.get(), area.as_mut_ptr().cast(), wanted, 0) };
        match usize::try_from(read) {
            Ok(read) if read == length => Ok(area),
            Ok(length) => Err(self.damaged(LabelError::Short { length })),
            Err(_) => Err(self.unreadable(io::Error::other(format!("libndctl answers {read}")))),
        }
    }

    fn damaged(self, source: LabelError) -> Error {
        Error::Labels {
            device: self.device(),
            source,
        }
    }

    fn unreadable(self, source: io::Error) -> Error {
        Error::io(Operation::Read("label area"), self.device(), source)
    }
}

impl Index {
    fn id(&self) -> IndexId {
        IndexId {
            number: self.number,
            sequence: self.sequence,
            checksum: self.checksum,
        }
    }
}

/// A command to a memory device, given back when dropped.
struct Command<'ctx>(&'ctx ffi::ndctl_cmd);

impl<'ctx> Command<'ctx> {
    /// Takes over what the library made for `dimm`.
    fn new(dimm: Dimm<'ctx>, raw: *mut ffi::ndctl_cmd) -> Result<Self, Error> {
        // The library keeps the reason to itself; errno is that of its last system call.
        let reason = io::Error::last_os_error();
        // SAFETY: null, or a command that nobody else gives back, with the DIMM and its context alive.
        unsafe { raw.as_ref() }.map(Self).ok_or_else(|| dimm.unreadable(reason))
    }

    fn get(&self) -> &ffi::ndctl_cmd {
        self.0
    }
}

impl Drop for Command<'_> {
    fn drop(&mut self) {
        // SAFETY: taken over in `new`, given back only here.
        unsafe { ffi::ndctl_cmd_unref(std::ptr::from_ref(self.0).cast_mut()) };
    }
}
