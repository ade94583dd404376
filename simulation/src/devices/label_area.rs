//! The label areas of the two modules of a region, as far as the kernel changes them.
//!
//! A label goes to the lowest free slot, then an index that has it is written; both twice, first as one that is being written
//! (`__pmem_label_update` in `drivers/nvdimm/label.c`). A label that is deleted stays in its slot.

use node_driver::known_zero::{LabelAreas, ModuleArea, Slot};
use placement::{Bytes, Extent};
use uuid::Uuid;

use super::label::{Label, Reach};

/// The label areas of all modules of a region.
#[derive(Clone, Debug, Default)]
pub(super) struct ModelAreas([ModelArea; 2]);

#[derive(Clone, Debug, Default)]
struct ModelArea {
    /// How many indexes were written.
    indexes: u32,
    slots: Vec<ModelSlot>,
}

#[derive(Clone, Debug)]
struct ModelSlot {
    is_used: bool,
    uuid: Uuid,
    extent: Extent,
    content: String,
}

/// Which modules a change reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Modules {
    All,
    First,
    Second,
}

impl Modules {
    /// One that only some have reached the first.
    pub(super) fn reached(reach: Reach) -> Option<Self> {
        match reach {
            Reach::All => Some(Self::All),
            Reach::Some => Some(Self::First),
            Reach::None => None,
        }
    }
}

impl ModelAreas {
    pub(super) fn write(&mut self, label: &Label, extent: Extent, modules: Modules) {
        for area in self.of(modules) {
            area.name(label.uuid.unwrap_or_default());
            for phase in ["updating", "written"] {
                area.put(ModelSlot {
                    is_used: true,
                    uuid: label.uuid.unwrap_or_default(),
                    extent,
                    content: format!("{label:?} {extent:?} {phase}"),
                });
            }
        }
    }

    pub(super) fn delete(&mut self, uuid: Option<Uuid>, modules: Modules) {
        for area in self.of(modules) {
            area.free(uuid.unwrap_or_default(), None);
            area.indexes += 1;
        }
    }

    /// What a driver reads of them.
    pub(super) fn read(&self, size: Bytes) -> LabelAreas {
        let modules = self.0.iter().enumerate();
        LabelAreas {
            size,
            modules: modules.map(|(number, area)| area.read(number)).collect(),
        }
    }

    fn of(&mut self, modules: Modules) -> &mut [ModelArea] {
        match modules {
            Modules::All => &mut self.0,
            Modules::First => &mut self.0[..1],
            Modules::Second => &mut self.0[1..],
        }
    }
}

impl ModelArea {
    /// A namespace without a label gets its UUID and its name: an index is written for each (`nd_namespace_label_update` in
    /// `drivers/nvdimm/namespace_devs.c`).
    fn name(&mut self, uuid: Uuid) {
        if !self.slots.iter().any(|slot| slot.is_used && slot.uuid == uuid) {
            self.indexes += 2;
        }
    }

    fn put(&mut self, label: ModelSlot) {
        let uuid = label.uuid;
        let lowest = self.slots.iter().position(|slot| !slot.is_used);
        let number = lowest.unwrap_or(self.slots.len());
        if lowest.is_none() {
            self.slots.push(label);
        } else {
            self.slots[number] = label;
        }
        self.free(uuid, Some(number));
        self.indexes += 1;
    }

    fn free(&mut self, uuid: Uuid, but: Option<usize>) {
        let all = self.slots.iter_mut().enumerate();
        for (number, slot) in all.filter(|(_, slot)| slot.uuid == uuid) {
            slot.is_used &= but == Some(number);
        }
    }

    fn read(&self, number: usize) -> ModuleArea {
        let used = self.slots.iter().filter(|slot| slot.is_used).count();
        let last = self
            .slots
            .iter()
            .rposition(|slot| slot.is_used)
            .map_or(0, |last| last + 1);
        let slots = (0..last.max(used + 2)).map(|number| match self.slots.get(number) {
            None => Slot {
                is_used: false,
                uuid: None,
                extent: None,
                content: Vec::new(),
            },
            Some(slot) => Slot {
                is_used: slot.is_used,
                uuid: Some(slot.uuid),
                extent: slot.is_used.then_some(slot.extent),
                content: slot.content.clone().into_bytes(),
            },
        });
        ModuleArea {
            module: number.to_string(),
            indexes: ModuleArea::indexes(self.indexes % 3 + 1, self.indexes % 2 == 1),
            slots: slots.collect(),
        }
    }
}
