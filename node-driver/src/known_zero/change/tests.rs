//! Label areas as the kernel changes them, and others beside us.

use placement::{Bytes, Extent};
use proptest::prelude::*;

use super::*;

const OURS: Uuid = Uuid::from_u128(1);
const NEIGHBOUR: Uuid = Uuid::from_u128(2);

/// Two label areas; each change of a label is made on both.
#[derive(Clone, Debug)]
struct Kernel {
    areas: LabelAreas,
    announced: u64,
    /// How often it writes a label: before 5.0 once, since then twice.
    phases: u8,
    /// Makes the labels of others differ.
    others: u128,
}

impl Kernel {
    fn new(phases: u8) -> Self {
        let slot = || Slot {
            is_used: false,
            uuid: None,
            extent: None,
            content: vec![0],
        };
        let module = |name: &str| ModuleArea {
            module: name.into(),
            indexes: 0,
            slots: std::iter::repeat_with(slot).take(12).collect(),
        };
        Self {
            areas: LabelAreas {
                size: Bytes::mib(64),
                modules: vec![module("a"), module("b")],
            },
            announced: 0,
            phases,
            others: 100,
        }
    }

    fn look(&self) -> Look {
        Look {
            announced: self.announced,
            areas: self.areas.clone(),
        }
    }

    fn write(&mut self, uuid: Uuid, name: u8) {
        for module in 0..self.areas.modules.len() {
            self.write_on(module, uuid, name);
        }
    }

    fn write_on(&mut self, module: usize, uuid: Uuid, name: u8) {
        let module = &mut self.areas.modules[module];
        if module.used(uuid).next().is_none() {
            // Its UUID and its name, before its size.
            module.indexes = (module.indexes + 2) % INDEXES;
        }
        for phase in 0..self.phases {
            let free = module.slots.iter().position(|slot| !slot.is_used).unwrap();
            for slot in module.slots.iter_mut().filter(|slot| slot.uuid == Some(uuid)) {
                slot.is_used = false;
                slot.extent = None;
            }
            module.slots[free] = Slot {
                is_used: true,
                uuid: Some(uuid),
                extent: Some(Extent::new(Bytes::ZERO, Bytes::mib(2))),
                content: [&uuid.as_bytes()[..], &[name, phase]].concat(),
            };
            module.indexes = (module.indexes + 1) % INDEXES;
        }
    }

    fn delete(&mut self, uuid: Uuid) {
        for module in &mut self.areas.modules {
            for slot in module.slots.iter_mut().filter(|slot| slot.uuid == Some(uuid)) {
                slot.is_used = false;
                slot.extent = None;
            }
            module.indexes = (module.indexes + 1) % INDEXES;
        }
    }

    fn used(&mut self, written: &[u8]) {
        for written in written {
            self.used_by_others(*written);
        }
    }

    /// Somebody makes a namespace, uses it, and destroys it. Its label is written so many times.
    fn used_by_others(&mut self, written: u8) {
        self.others += 1;
        let uuid = Uuid::from_u128(self.others);
        for name in 0..written.max(1) {
            self.write(uuid, name);
        }
        self.announced += USED;
        self.delete(uuid);
    }
}

type Act = fn(&mut Kernel);

/// The kernels of before 5.0 and of since, with a namespace of ours and one beside it.
fn kernels() -> [Kernel; 2] {
    [1, 2].map(|phases| {
        let mut kernel = Kernel::new(phases);
        kernel.write(NEIGHBOUR, 0);
        kernel.write(OURS, 0);
        kernel
    })
}

#[test]
fn each_change_of_ours_is_explained() {
    for mut kernel in kernels() {
        let changes: [(Change, Act); 3] = [
            (Change::Written(OURS), |kernel| kernel.write(OURS, 1)),
            (Change::Deleted(OURS), |kernel| kernel.delete(OURS)),
            (Change::Written(OURS), |kernel| kernel.write(OURS, 2)),
        ];
        for (change, act) in changes {
            let before = kernel.look();
            act(&mut kernel);
            assert!(change.explains(&before, &kernel.look()), "{change:?}");
        }
    }
}

#[test]
fn a_label_that_did_not_reach_each_module_is_not() {
    for kernel in kernels() {
        let before = kernel.look();
        let mut torn = kernel.clone();
        torn.write_on(0, OURS, 1);
        assert!(!Change::Written(OURS).explains(&before, &torn.look()));
        assert!(!Change::Written(OURS).explains(&before, &before));
        assert!(!Change::Deleted(OURS).explains(&before, &before));
        let mut other = kernel.clone();
        other.write(OURS, 1);
        other.areas.modules[1].module = "c".into();
        assert!(!Change::Written(OURS).explains(&before, &other.look()));
        other.areas.modules.pop();
        assert!(!Change::Written(OURS).explains(&before, &other.look()));
    }
}

/// As often as the indexes come round, nothing in a slot tells that others wrote there before a new label of ours.
#[test]
fn what_labels_do_not_show_is_announced() {
    let new = Uuid::from_u128(3);
    for kernel in kernels() {
        let before = kernel.look();
        let mut now = kernel.clone();
        for _ in 0..6 {
            now.used_by_others(1);
        }
        now.write(new, 0);
        assert!(!Change::Written(new).explains(&before, &now.look()));
        now.announced = before.announced;
        assert!(Change::Written(new).explains(&before, &now.look()), "labels show it");
    }
}

#[test]
fn sequence_and_place_tell_how_many_indexes_were_written() {
    for indexes in 0..12_u8 {
        let (sequence, is_second) = (u32::from(indexes % 3) + 1, indexes % 2 == 1);
        assert_eq!(ModuleArea::indexes(sequence, is_second), indexes % INDEXES);
    }
}

proptest! {
    /// However often somebody used the bytes before or after our change, it shows.
    #[test]
    fn what_others_do_beside_us_is_not_explained(
        is_deletion in any::<bool>(),
        before_ours in prop::collection::vec(1_u8..6, 0..8),
        after_ours in prop::collection::vec(1_u8..6, 0..8),
        ends_neighbour in any::<bool>(),
    ) {
        for mut kernel in kernels() {
            let before = kernel.look();
            kernel.used(&before_ours);
            let change = if is_deletion {
                kernel.delete(OURS);
                Change::Deleted(OURS)
            } else {
                kernel.write(OURS, 1);
                Change::Written(OURS)
            };
            kernel.used(&after_ours);
            if ends_neighbour {
                kernel.delete(NEIGHBOUR);
            }
            let is_alone = before_ours.is_empty() && after_ours.is_empty() && !ends_neighbour;
            prop_assert_eq!(change.explains(&before, &kernel.look()), is_alone);
        }
    }

    /// The hash is another whatever somebody did, also if nobody of us looked meanwhile.
    #[test]
    fn who_used_bytes_changed_the_hash(used in prop::collection::vec(1_u8..6, 1..30)) {
        for mut kernel in kernels() {
            let before = kernel.areas.hash();
            kernel.used(&used);
            prop_assert_ne!(before, kernel.areas.hash());
        }
    }
}

#[test]
fn a_region_without_labels_is_never_known() {
    let mut kernel = Kernel::new(2);
    assert!(kernel.areas.hash().is_some());
    kernel.areas.modules[1].slots.clear();
    assert_eq!(kernel.areas.hash(), None);
    kernel.areas.modules.clear();
    assert_eq!(kernel.areas.hash(), None);
}
