//! The index of a label area: which slots are in use.
//!
//! Two index blocks, then the slots. Nothing is written in place: a new label goes to a free slot, then the block that is
//! not in force is written with the next sequence number (`drivers/nvdimm/label.c`, which this follows step by step, so that
//! it sees what the kernel sees after a boot).

use crate::label::{Label, LabelError, Slot};
use crate::label_area::IndexId;

const SIGNATURE: &[u8; 16] = b"NAMESPACE_INDEX\0";
/// Sizes of a label, in the order in which the kernel looks for them (`nd_label_validate`).
const LABEL_SIZES: [usize; 2] = [128, 256];
/// Size of an index block before its bitmap (`struct nd_namespace_index`).
const HEADER: usize = 72;
/// The size of an index block is a multiple of this (`NSINDEX_ALIGN`).
const ALIGN: usize = 256;

const LABEL_SIZE: usize = 19;
const SEQUENCE: usize = 20;
const OWN_OFFSET: usize = 24;
const OWN_SIZE: usize = 32;
const OTHER_OFFSET: usize = 40;
const SLOTS: usize = 56;
const MAJOR: usize = 60;
const MINOR: usize = 62;
const CHECKSUM: usize = 64;

/// The index block in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    /// Which of the two it is.
    pub(crate) number: u8,
    pub(crate) sequence: u32,
    pub(crate) checksum: u64,
    label_size: usize,
    labels_at: usize,
    pub(crate) used: Vec<u32>,
    slots: u32,
}

impl Index {
    /// How many bytes of a label area of `area_size` bytes [`Index::parse`] needs.
    pub(crate) fn needs(area_size: usize) -> usize {
        let blocks = LABEL_SIZES.map(|label_size| 2 * block_size(area_size, label_size).unwrap_or(0));
        blocks.into_iter().max().unwrap_or(0)
    }

    /// The index of a label area of `area_size` bytes that begins with `area`; nothing if none was ever written.
    pub(crate) fn parse(area: &[u8], area_size: usize) -> Result<Option<Self>, LabelError> {
        if area.len() < Self::needs(area_size) {
            return Err(LabelError::Short { length: area.len() });
        }
        let sizes = LABEL_SIZES.iter().filter_map(|label| Sizes::of(area_size, *label));
        let sizes: Vec<Sizes> = sizes.collect();
        if let Some(index) = sizes.iter().find_map(|sizes| sizes.current(area)) {
            return Ok(Some(index));
        }
        let mut blocks = sizes.iter().flat_map(|sizes| sizes.blocks(area));
        if blocks.any(|block| block.starts_with(SIGNATURE)) {
            return Err(LabelError::Index);
        }
        Ok(None)
    }

    /// How many bytes of a label area [`Index::is_in_force`] needs: both headers.
    pub(crate) fn needs_to_compare(block: usize) -> usize {
        block + HEADER
    }

    /// Whether an index that was valid is still in force: its header is as it was, and the other one's does not come after it. One that
    /// is half written counts as a change.
    pub(crate) fn is_in_force(id: IndexId, area: &[u8]) -> bool {
        let header = |number: usize| area.get(number * id.block..).filter(|rest| rest.len() >= HEADER);
        let sequence = |header: &[u8]| u32_at(header, SEQUENCE).map(|sequence| sequence & 3);
        let number = usize::from(id.number);
        let is_as_it_was = header(number).is_some_and(|header| {
            header.starts_with(SIGNATURE)
                && sequence(header) == Some(id.sequence)
                && u64_at(header, CHECKSUM) == Some(id.checksum)
        });
        let comes_after = header(1 - number).is_none_or(|other| {
            other.starts_with(SIGNATURE)
                && sequence(other).is_none_or(|other| other != 0 && is_next(other, id.sequence))
        });
        is_as_it_was && !comes_after
    }

    /// Size of an index block.
    pub(crate) fn block(&self) -> usize {
        self.labels_at / 2
    }

    /// How many slots tell of each label that was written since: those in use, and two more, of which one at least comes next
    /// (`nd_label_alloc_slot` takes the lowest free one).
    fn telling(&self) -> usize {
        let slots = self.used.last().map_or(0, |last| *last as usize + 1);
        slots.max(self.used.len() + 2).min(self.slots as usize)
    }

    /// Where the slots end that tell of each label that was written since.
    pub(crate) fn end(&self) -> usize {
        self.labels_at + self.telling() * self.label_size
    }

    /// The bytes of the slots that tell of each label that was written since, in use or not. `area` has to reach to
    /// [`Index::end`].
    pub(crate) fn slots(&self, area: &[u8]) -> Result<Vec<Slot>, LabelError> {
        let short = || LabelError::Short { length: area.len() };
        let slots = area.get(self.labels_at..self.end()).ok_or_else(short)?;
        let slot = |(number, bytes): (u32, &[u8])| Slot {
            is_used: self.used.binary_search(&number).is_ok(),
            uuid: Label::parse(number, bytes).ok().flatten().map(|label| label.uuid),
            bytes: bytes.to_vec(),
        };
        Ok((0..).zip(slots.chunks_exact(self.label_size)).map(slot).collect())
    }

    /// Labels that can still be written. The kernel keeps one slot for updates (`available_slots_show` in
    /// `drivers/nvdimm/dimm_devs.c`).
    pub(crate) fn free_slots(&self) -> u64 {
        let used = u64::try_from(self.used.len()).unwrap_or(u64::MAX);
        u64::from(self.slots).saturating_sub(used).saturating_sub(1)
    }

    /// The labels in the slots in use. `area` has to reach to [`Index::end`].
    pub(crate) fn labels(&self, area: &[u8]) -> Result<Vec<Label>, LabelError> {
        let label = |slot: &u32| {
            let start = self.labels_at + *slot as usize * self.label_size;
            let bytes = area.get(start..start + self.label_size);
            Label::parse(*slot, bytes.ok_or(LabelError::Short { length: area.len() })?)
        };
        self.used.iter().filter_map(|slot| label(slot).transpose()).collect()
    }
}

/// How large the parts of a label area are, if its labels have one of the sizes.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    area: usize,
    label: usize,
    block: usize,
}

impl Sizes {
    fn of(area_size: usize, label_size: usize) -> Option<Self> {
        Some(Self {
            area: area_size,
            label: label_size,
            block: block_size(area_size, label_size)?,
        })
    }

    fn blocks(self, area: &[u8]) -> impl Iterator<Item = &[u8]> {
        (0..2).filter_map(move |n| area.get(n * self.block..(n + 1) * self.block))
    }

    /// The valid block with the later sequence number.
    fn current(&self, area: &[u8]) -> Option<Index> {
        let mut valid = self.blocks(area).enumerate();
        let mut next = || valid.next().map(|(number, block)| self.index(number, block));
        match (next().flatten(), next().flatten()) {
            (Some(first), Some(second)) => Some(if is_later(second.sequence, first.sequence) {
                second
            } else {
                first
            }),
            (first, second) => first.or(second),
        }
    }

    /// The block, if it is valid as the kernel sees it.
    fn index(&self, number: usize, block: &[u8]) -> Option<Index> {
        let offset = |at| u64_at(block, at).and_then(|offset| usize::try_from(offset).ok());
        let slots = u32_at(block, SLOTS)?;
        let checksum = u64_at(block, CHECKSUM)?;
        let sequence = u32_at(block, SEQUENCE)? & 3;
        let is_valid = block.starts_with(SIGNATURE)
            && label_size(block)? == self.label
            && checksum == sum(block, CHECKSUM)
            && sequence != 0
            && offset(OWN_OFFSET)? == number * self.block
            && offset(OTHER_OFFSET)? == (1 - number) * self.block
            && (HEADER..=self.block).contains(&offset(OWN_SIZE)?)
            && (slots as usize).checked_mul(self.label)? + 2 * self.block <= self.area;
        is_valid.then(|| Index {
            number: u8::from(number != 0),
            sequence,
            checksum,
            label_size: self.label,
            labels_at: 2 * self.block,
            used: used(&block[HEADER..], slots),
            slots,
        })
    }
}

/// `sizeof_namespace_index`: the block needs a bit for each slot that is left beside it. Nothing if the area is too small.
fn block_size(area_size: usize, label_size: usize) -> Option<usize> {
    let block_for = |slots: usize| (HEADER + slots.div_ceil(8)).next_multiple_of(ALIGN);
    let slots = area_size.checked_sub(2 * block_for(area_size / label_size))? / label_size;
    (slots >= 2).then(|| block_for(slots))
}

/// Larger labels than those of 128 bytes came with version 1.2, and CXL counts from 2.1 on.
fn label_size(block: &[u8]) -> Option<usize> {
    let version = (u16_at(block, MAJOR)?, u16_at(block, MINOR)?);
    let exponent = u32::from(*block.get(LABEL_SIZE)?);
    match version {
        (0, _) | (1, 0 | 1) => Some(128),
        _ => 128_usize.checked_shl(exponent),
    }
}

/// Whether `a` comes after `b`: they count 1, 2, 3, 1, … (`best_seq`). Of two equal ones the kernel takes the second block.
fn is_later(a: u32, b: u32) -> bool {
    a == b || is_next(a, b)
}

fn is_next(a: u32, b: u32) -> bool {
    b % 3 + 1 == a
}

/// A bit is set for each free slot.
fn used(bitmap: &[u8], slots: u32) -> Vec<u32> {
    let is_used = |slot: &u32| {
        bitmap
            .get(*slot as usize / 8)
            .is_some_and(|byte| byte >> (slot % 8) & 1 == 0)
    };
    (0..slots).filter(is_used).collect()
}

/// The Fletcher checksum of `bytes`, in which the eight of the checksum itself, at `own`, count as 0 (`nd_fletcher64` in
/// `drivers/nvdimm/core.c`).
pub(crate) fn sum(bytes: &[u8], own: usize) -> u64 {
    let word = |(number, word): (usize, &[u8])| match number * 4 {
        at if at == own || at == own + 4 => 0,
        _ => u32_at(word, 0).unwrap_or(0),
    };
    let (low, high) = bytes
        .chunks_exact(4)
        .enumerate()
        .map(word)
        .fold((0_u32, 0_u64), |(low, high), word| {
            let low = low.wrapping_add(word);
            (low, high.wrapping_add(low.into()))
        });
    high << 32 | u64::from(low)
}

pub(crate) fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    field(bytes, at).map(u16::from_le_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    field(bytes, at).map(u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    field(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests;
