//! What a memory device holds in its label area, read from the device itself.
//!
//! What the kernel shows of a namespace is what it remembers: it reads a label area when its driver takes the memory device
//! (`nvdimm_probe` in `drivers/nvdimm/dimm.c`), not again when a region is enabled. Only the device says what is there after
//! the next boot.

use std::io;

use crate::dimm::Dimm;
use crate::error::{Error, Operation};
use crate::ffi;
use crate::label::{Label, LabelError, Slot};
use crate::label_device::LabelDevice;
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
    /// Size of an index block.
    pub(crate) block: usize,
}

impl Dimm<'_> {
    /// Reads the label area: the index, and as much of the slots as is in use. Writes nothing.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is a label area and it cannot be read, [`Error::Labels`] if what is read is damaged.
    pub fn label_area(self) -> Result<LabelArea, Error> {
        let Some(device) = self.label_device()? else {
            return Ok(LabelArea::None);
        };
        let mut area = Vec::new();
        let Some(index) = self.read_index(&device, &mut area)? else {
            return Ok(LabelArea::Uninitialised);
        };
        self.read_on(&device, &mut area, index.end())?;
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
        let Some(device) = self.label_device()? else {
            return Ok(None);
        };
        let index = self.read_index(&device, &mut Vec::new())?;
        Ok(index.map(|index| index.id()))
    }

    /// Whether the index that was read is still in force. It reads less than [`Dimm::label_index`]: firmware is slow to answer.
    ///
    /// # Errors
    /// As [`Dimm::label_area`].
    pub fn has_index(self, index: IndexId) -> Result<bool, Error> {
        let Some(device) = self.label_device()? else {
            return Ok(false);
        };
        let mut area = Vec::new();
        self.read_on(&device, &mut area, Index::needs_to_compare(index.block))?;
        Ok(Index::is_in_force(index, &area))
    }

    /// Nothing if the device has no label area.
    fn label_device(self) -> Result<Option<LabelDevice>, Error> {
        if !self.can(ffi::ND_CMD_GET_CONFIG_SIZE) || !self.can(ffi::ND_CMD_GET_CONFIG_DATA) {
            return Ok(None);
        }
        let device = LabelDevice::open(self).map_err(|error| self.unreadable(error))?;
        Ok(Some(device).filter(|device| device.size() > 0))
    }

    /// The index that is in force, at the beginning of `area`, where nothing was read yet.
    fn read_index(self, device: &LabelDevice, area: &mut Vec<u8>) -> Result<Option<Index>, Error> {
        self.read_on(device, area, Index::needs(device.size()))?;
        Index::parse(area, device.size()).map_err(|source| self.damaged(source))
    }

    /// Reads on until `area` is the first `length` bytes of the label area. The kernel takes the lowest free slot, so that little lies
    /// between the slots in use.
    fn read_on(self, device: &LabelDevice, area: &mut Vec<u8>, length: usize) -> Result<(), Error> {
        device.read_on(area, length).map_err(|error| self.unreadable(error))?;
        if area.len() < length {
            return Err(self.damaged(LabelError::Short { length: area.len() }));
        }
        Ok(())
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
    pub(crate) fn id(&self) -> IndexId {
        IndexId {
            number: self.number,
            sequence: self.sequence,
            checksum: self.checksum,
            block: self.block(),
        }
    }
}
