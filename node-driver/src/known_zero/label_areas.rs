//! What the label areas of the modules of a region hold, as far as it tells of each label that was written.
//!
//! The kernel writes a label to the lowest free slot, and then an index that has it (`__pmem_label_update` in
//! `drivers/nvdimm/label.c`). To delete one it writes an index without it (`del_labels`); the label stays in its slot. Indexes count
//! 1, 2, 3, 1, … and take turns on two places, so that six of them later one is as before. So an index alone proves nothing, but
//! the free slots do: who made a namespace and destroyed it has left a label in the lowest of them.

use std::fmt::Write;

use placement::{Bytes, Extent, free_between};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The label areas at one moment, and what the kernel had announced before.
#[derive(Clone, Debug)]
pub struct Look {
    /// How much the kernel had announced of persistent memory before the label areas were read.
    pub announced: u64,
    /// What they held.
    pub areas: LabelAreas,
}

/// The label areas of all modules of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelAreas {
    /// Raw bytes of the region.
    pub size: Bytes,
    /// The modules, in the order of their places in the region. A region without any is never known.
    pub modules: Vec<ModuleArea>,
}

/// The label area of one module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleArea {
    /// Which module it is, what part of it belongs to the region, and how often it lost what it should have kept.
    pub module: String,
    /// How many indexes were written, modulo [`INDEXES`].
    pub indexes: u8,
    /// The first slots: at least those in use and the next two that are written to.
    pub slots: Vec<Slot>,
}

/// After so many, an index is as it was: three numbers, on two places.
pub(super) const INDEXES: u8 = 6;

/// A place for a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Whether the label in it counts.
    pub is_used: bool,
    /// The UUID in it, if it holds a label of a namespace, in use or not.
    pub uuid: Option<Uuid>,
    /// The bytes of the region that the label takes, if it counts and is one of this region.
    pub extent: Option<Extent>,
    /// All that is in it.
    pub content: Vec<u8>,
}

pub(super) fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl ModuleArea {
    /// How many indexes were written, as the one in force tells: its number counts 1, 2, 3, and it is on the first or the second
    /// place.
    #[must_use]
    pub fn indexes(sequence: u32, is_second: bool) -> u8 {
        // The one number below six with both remainders.
        let of_sequence = 4 * u8::try_from(sequence.saturating_sub(1) % 3).unwrap_or_default();
        (of_sequence + 3 * u8::from(is_second)) % INDEXES
    }

    pub(super) fn used(&self, uuid: Uuid) -> impl Iterator<Item = &Slot> {
        let all = self.slots.iter();
        all.filter(move |slot| slot.is_used && slot.uuid == Some(uuid))
    }
}

impl LabelAreas {
    /// What it is compared by. Nothing for a region without labels.
    #[must_use]
    pub fn hash(&self) -> Option<String> {
        if self.modules.is_empty() || self.modules.iter().any(|module| module.slots.is_empty()) {
            return None;
        }
        let mut hash = Sha256::new();
        // Each part has its length in front, so that no two states are written the same.
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(&self.size.get().to_le_bytes());
        for module in &self.modules {
            part(module.module.as_bytes());
            part(&[module.indexes]);
            part(&(module.slots.len() as u64).to_le_bytes());
            for slot in &module.slots {
                part(&[u8::from(slot.is_used)]);
                part(&slot.content);
            }
        }
        Some(hex(&hash.finalize()))
    }

    /// The bytes that no label takes.
    #[must_use]
    pub fn free(&self) -> Vec<Extent> {
        let slots = self.modules.iter().flat_map(|module| &module.slots);
        free_between(self.size, slots.filter_map(|slot| slot.extent))
    }

    /// The bytes that the labels with this UUID take, if there is one on each module and all say the same.
    #[must_use]
    pub fn extent_of(&self, uuid: Uuid) -> Option<Extent> {
        let of_module = |module: &ModuleArea| {
            let mut used = module.used(uuid);
            match (used.next(), used.next()) {
                (Some(slot), None) => slot.extent,
                _ => None,
            }
        };
        let (first, others) = self.modules.split_first()?;
        let extent = of_module(first)?;
        let is_same = |module: &ModuleArea| of_module(module) == Some(extent);
        others.iter().all(is_same).then_some(extent)
    }
}
