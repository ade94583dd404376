//! Whether a change of ours, and nothing else, led from one state of the label areas to another.

use uuid::Uuid;

use super::label_areas::{INDEXES, LabelAreas, Look, ModuleArea, Slot};

/// What the driver has the kernel do with the label of one namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The label of the namespace with this UUID is written: it is new, or has another name.
    Written(Uuid),
    /// It is deleted.
    Deleted(Uuid),
}

/// So much the kernel announces at least while somebody uses a namespace between two looks: that its block device comes, and
/// that it goes.
const USED: u64 = 2;

impl Change {
    /// Whether nobody else wrote or deleted a label and had bytes of the region between two looks.
    ///
    /// A deletion writes no label, so that what others wrote shows. What is written goes to the slots that others may have
    /// written to before, and six indexes, or twelve, do not show: then what the kernel announced has to tell.
    pub(super) fn explains(self, before: &Look, after: &Look) -> bool {
        let is_quiet = match self {
            Self::Written(_) => after
                .announced
                .checked_sub(before.announced)
                .is_some_and(|announced| announced < USED),
            Self::Deleted(_) => true,
        };
        is_quiet && self.leads(&before.areas, &after.areas)
    }

    fn leads(self, before: &LabelAreas, after: &LabelAreas) -> bool {
        let mut modules = before.modules.iter().zip(&after.modules);
        before.size == after.size
            && before.modules.len() == after.modules.len()
            && modules.all(|(before, after)| self.leads_on(before, after))
    }

    fn leads_on(self, before: &ModuleArea, after: &ModuleArea) -> bool {
        let slots: Vec<(&Slot, &Slot)> = before.slots.iter().zip(&after.slots).collect();
        let written: Vec<&Slot> = slots
            .iter()
            .filter(|(before, after)| before.content != after.content)
            .map(|(_, after)| *after)
            .collect();
        let indexes = usize::from((after.indexes + INDEXES - before.indexes) % INDEXES);
        before.module == after.module
            && others_stay(self.uuid(), before, after)
            && match self {
                // Since 5.0 the kernel writes each label twice, first as one that is being written.
                Self::Written(uuid) => {
                    (1..=2).contains(&written.len())
                        && indexes == written.len() + indexes_before_label(uuid, before)
                        && written.iter().all(|slot| slot.uuid == Some(uuid))
                        && before.used(uuid).count() <= 1
                        && after.used(uuid).count() == 1
                }
                Self::Deleted(uuid) => {
                    indexes == 1
                        && written.is_empty()
                        && before.used(uuid).count() == 1
                        && after.used(uuid).count() == 0
                }
            }
    }

    fn uuid(self) -> Uuid {
        match self {
            Self::Written(uuid) | Self::Deleted(uuid) => uuid,
        }
    }
}

/// A namespace without a label gets its UUID and its name before its size. For each of them the kernel writes an index without any
/// label of that UUID (`nd_namespace_label_update` in `drivers/nvdimm/namespace_devs.c`).
fn indexes_before_label(uuid: Uuid, before: &ModuleArea) -> usize {
    match before.used(uuid).next() {
        None => 2,
        Some(_) => 0,
    }
}

/// Whether all labels of others are where they were.
fn others_stay(uuid: Uuid, before: &ModuleArea, after: &ModuleArea) -> bool {
    let others = |area: &ModuleArea| -> Vec<(usize, Vec<u8>)> {
        let slots = area.slots.iter().enumerate();
        slots
            .filter(|(_, slot)| slot.is_used && slot.uuid != Some(uuid))
            .map(|(number, slot)| (number, slot.content.clone()))
            .collect()
    };
    others(before) == others(after)
}

#[cfg(test)]
mod tests;
