//! One label: the record of a namespace on one memory device.
//!
//! There are three layouts: 128 bytes (version 1.1), 256 bytes (1.2, both `nvdimm_efi_label` in `drivers/nvdimm/label.h`), and
//! 256 bytes that begin with their own type (CXL 2.0, `nvdimm_cxl_label` there).

use placement::Bytes;
use uuid::{Uuid, uuid};

use crate::label_index::{field, sum, u16_at, u32_at, u64_at};

/// A label of 256 bytes that describes a namespace on a CXL device begins with this (`CXL_NAMESPACE_UUID`).
const CXL_NAMESPACE: Uuid = uuid!("68bb2c0a-5a77-4937-9f85-3caf41a0f93c");
/// One that describes a region begins with this (`CXL_REGION_UUID`).
const CXL_REGION: Uuid = uuid!("529d7c61-da07-47c4-a93f-ecdf2c06f444");

/// Written over on some device of the set (`NSLABEL_FLAG_UPDATING`).
const UPDATING: u32 = 0x8;
/// What start and size are multiples of (`slot_valid` in `drivers/nvdimm/label.c`).
const PAGE: i64 = 4096;
/// Where the checksum of a label of 256 bytes is, in both layouts. One of 128 bytes has none.
const CHECKSUM: usize = 248;

/// The record of a namespace on one memory device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where it is in the label area.
    pub slot: u32,
    /// The UUID of the namespace.
    pub uuid: Uuid,
    /// The name of the namespace; empty if it has none.
    pub name: String,
    /// The first byte of the namespace on this device (device physical address).
    pub start: Bytes,
    /// Bytes of the namespace on this device.
    pub size: Bytes,
    /// The place of this device among those of the namespace.
    pub position: u16,
    /// On how many devices the namespace is. Nothing in a CXL label, where the region's own label has it.
    pub devices: Option<u16>,
    /// Whether writing the namespace's labels was begun and not ended: those on other devices may differ.
    ///
    /// Kernels before 5.0 never take the mark away.
    pub is_updating: bool,
}

/// A place for a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Whether the label in it counts. What is in a free one was deleted or written over, and stays until another label is
    /// written there.
    pub is_used: bool,
    /// The UUID in it, if what is there is a label of a namespace.
    pub uuid: Option<Uuid>,
    /// All that is in it.
    pub bytes: Vec<u8>,
}

/// What is wrong with a label area.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Something is written where the index belongs, but none of its two blocks is whole.
    #[error("both index blocks are damaged, or of an unknown version")]
    Index,
    /// The index says that a slot is in use, but there is no valid label in it. The kernel takes such space for free.
    #[error("slot {slot} is in use, but its label {fault}")]
    Label {
        /// The slot.
        slot: u32,
        /// What is wrong with it, as the end of a sentence.
        fault: &'static str,
    },
    /// Less could be read than the index speaks of.
    #[error("only {length} bytes of it could be read")]
    Short {
        /// How many.
        length: usize,
    },
}

/// Where the fields of a layout are.
struct Layout {
    uuid: usize,
    name: usize,
    flags: usize,
    devices: Option<usize>,
    position: usize,
    start: usize,
    size: usize,
    slot: usize,
}

const EFI: Layout = Layout {
    uuid: 0,
    name: 16,
    flags: 80,
    devices: Some(84),
    position: 86,
    start: 104,
    size: 112,
    slot: 120,
};
const CXL: Layout = Layout {
    uuid: 16,
    name: 32,
    flags: 96,
    devices: None,
    position: 102,
    start: 104,
    size: 112,
    slot: 120,
};

impl Label {
    /// The label in `bytes`, which are those of `slot`; nothing if it describes something else than a namespace.
    ///
    /// It asks the same as the kernel does, which passes over a label that is not valid (`slot_valid`).
    pub(crate) fn parse(slot: u32, bytes: &[u8]) -> Result<Option<Self>, LabelError> {
        let damaged = |fault| LabelError::Label { slot, fault };
        let has_checksum = bytes.len() > CHECKSUM;
        if has_checksum && u64_at(bytes, CHECKSUM) != Some(sum(bytes, CHECKSUM)) {
            return Err(damaged("has a wrong checksum"));
        }
        let layout = match uuid_at(bytes, 0) {
            Some(CXL_REGION) if has_checksum => return Ok(None),
            Some(CXL_NAMESPACE) if has_checksum => CXL,
            _ => EFI,
        };
        let label = layout
            .read(bytes)
            .ok_or_else(|| damaged("has a start or size that no device has"))?;
        match label {
            label if label.slot != slot => Err(damaged("was written for another slot")),
            label if label.start.get() % PAGE != 0 || label.size.get() % PAGE != 0 => {
                Err(damaged("starts or ends between two pages"))
            }
            label if label.uuid.is_nil() => Err(damaged("has no UUID")),
            label => Ok(Some(label)),
        }
    }
}

impl Layout {
    fn read(&self, label: &[u8]) -> Option<Label> {
        let devices = match self.devices {
            Some(at) => Some(u16_at(label, at)?),
            None => None,
        };
        Some(Label {
            slot: u32_at(label, self.slot)?,
            uuid: uuid_at(label, self.uuid)?,
            name: text(&field::<64>(label, self.name)?),
            start: bytes_at(label, self.start)?,
            size: bytes_at(label, self.size)?,
            position: u16_at(label, self.position)?,
            devices,
            is_updating: u32_at(label, self.flags)? & UPDATING != 0,
        })
    }
}

/// Up to the first NUL, as the kernel shows it.
fn text(name: &[u8]) -> String {
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..end]).into_owned()
}

fn uuid_at(bytes: &[u8], at: usize) -> Option<Uuid> {
    field(bytes, at).map(Uuid::from_bytes)
}

/// Nothing for what no device has: the label is damaged.
fn bytes_at(bytes: &[u8], at: usize) -> Option<Bytes> {
    Bytes::try_from(u64_at(bytes, at)?).ok()
}
