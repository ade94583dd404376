use std::sync::Arc;

use placement::{Bytes, Extent};

use super::super::label_areas::{LabelAreas, ModuleArea, Slot};
use super::*;

const OURS: Uuid = Uuid::from_u128(1);

/// A file that can refuse, and the label areas of one module.
#[derive(Clone, Default)]
struct Node(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    file: Option<Vec<u8>>,
    refuses: bool,
    area: Vec<Slot>,
    indexes: u8,
}

impl Keep for Node {
    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.inside().file.clone())
    }
    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let mut inside = self.inside();
        if inside.refuses {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        inside.file = Some(bytes.to_vec());
        Ok(())
    }
}

fn mib(start: u32, size: u32) -> Extent {
    Extent::new(Bytes::mib(start), Bytes::mib(size))
}

fn region() -> RegionId {
    RegionId("r".into())
}

impl Node {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap()
    }

    fn zeros(&self) -> KnownZeros {
        KnownZeros::kept_in(self.clone())
    }

    fn look(&self) -> Look {
        let inside = self.inside();
        let module = ModuleArea {
            module: "a".into(),
            indexes: inside.indexes,
            slots: inside.area.clone(),
        };
        Look {
            announced: 0,
            areas: LabelAreas {
                size: Bytes::mib(64),
                modules: vec![module],
            },
        }
    }

    /// Behind what is there, as a kernel of before 5.0.
    fn write(&self, uuid: Uuid, extent: Extent) {
        let mut inside = self.inside();
        inside.indexes = (inside.indexes + 3) % 6;
        let content = format!("{uuid} {extent:?}").into_bytes();
        let slot = Slot {
            is_used: true,
            uuid: Some(uuid),
            extent: Some(extent),
            content,
        };
        let free = inside.area.iter().position(|slot| !slot.is_used);
        let free = free.unwrap_or(inside.area.len());
        let empty = Slot {
            is_used: false,
            uuid: None,
            extent: None,
            content: Vec::new(),
        };
        inside.area.resize(free.max(8), empty);
        inside.area[free] = slot;
    }

    fn delete(&self, uuid: Uuid) {
        let mut inside = self.inside();
        inside.indexes = (inside.indexes + 1) % 6;
        for slot in inside.area.iter_mut().filter(|slot| slot.uuid == Some(uuid)) {
            slot.is_used = false;
            slot.extent = None;
        }
    }

    /// A volume at that place was erased and is destroyed.
    fn erased(&self, zeros: &KnownZeros, uuid: Uuid, at: Extent) {
        self.write(uuid, at);
        let destroy = || {
            self.delete(uuid);
            Ok::<_, NotWithdrawn>(())
        };
        zeros
            .destroy(&region(), uuid, &[at], || Some(self.look()), destroy)
            .unwrap();
    }

    /// Whether all of a namespace at that place is known to be zero.
    fn is_known(&self, zeros: &KnownZeros, at: Extent) -> bool {
        let create = || {
            self.write(OURS, at);
            Ok::<_, NotWithdrawn>(())
        };
        zeros.create(&region(), OURS, || Some(self.look()), create).unwrap().1 == [at]
    }
}

#[test]
fn what_was_erased_is_known_once_also_by_the_next_run() {
    let node = Node::default();
    node.erased(&node.zeros(), Uuid::from_u128(7), mib(0, 16));
    assert!(node.is_known(&node.zeros(), mib(4, 8)));
    node.delete(OURS);
    assert!(!node.is_known(&node.zeros(), mib(4, 8)));
}

#[test]
fn the_rest_stays_known() {
    let node = Node::default();
    let zeros = node.zeros();
    node.erased(&zeros, Uuid::from_u128(7), mib(0, 16));
    assert!(node.is_known(&zeros, mib(0, 8)));
    let destroy = || {
        node.delete(OURS);
        Ok::<_, NotWithdrawn>(())
    };
    zeros
        .destroy(&region(), OURS, &[], || Some(node.look()), destroy)
        .unwrap();
    assert!(node.is_known(&zeros, mib(8, 8)));
}

#[test]
fn a_namespace_that_is_only_partly_known_is_not_known() {
    let node = Node::default();
    node.erased(&node.zeros(), Uuid::from_u128(7), mib(0, 16));
    assert!(!node.is_known(&node.zeros(), mib(8, 16)));
}

#[test]
fn nothing_is_known_after_somebody_else_wrote_a_label() {
    let node = Node::default();
    node.erased(&node.zeros(), Uuid::from_u128(7), mib(0, 16));
    node.write(Uuid::from_u128(8), mib(0, 16));
    node.delete(Uuid::from_u128(8));
    assert!(!node.is_known(&node.zeros(), mib(0, 16)));
}

#[test]
fn another_place_than_the_label_says_is_not_noted() {
    let node = Node::default();
    node.write(OURS, mib(0, 16));
    let destroy = || {
        node.delete(OURS);
        Ok::<_, NotWithdrawn>(())
    };
    let zeros = node.zeros();
    zeros
        .destroy(&region(), OURS, &[mib(16, 16)], || Some(node.look()), destroy)
        .unwrap();
    assert!(!node.is_known(&zeros, mib(16, 16)));
}

/// Before a label is written, and whatever comes after it.
#[test]
fn what_is_used_was_taken_back_before() {
    let node = Node::default();
    node.erased(&node.zeros(), Uuid::from_u128(7), mib(0, 16));
    let create = || {
        let file = node.inside().file.clone().unwrap();
        assert!(!Record::from_bytes(&file).unwrap().is_about(&region()));
        Err::<(), _>(NotWithdrawn(io::Error::other("the driver is killed")))
    };
    let killed = node.zeros().create(&region(), OURS, || Some(node.look()), create);
    assert!(killed.is_err());
    assert!(!node.is_known(&node.zeros(), mib(0, 16)), "the labels are as they were");
}

#[test]
fn nothing_is_made_that_cannot_be_taken_back() {
    let node = Node::default();
    let zeros = node.zeros();
    node.erased(&zeros, Uuid::from_u128(7), mib(0, 16));
    node.inside().refuses = true;
    // Also if this run has forgotten already what the file still says.
    zeros.see(&region(), &[mib(0, 2)], &[]);
    for zeros in [zeros, node.zeros()] {
        let create = || -> Result<(), NotWithdrawn> { panic!("it was made") };
        assert!(zeros.create(&region(), OURS, || Some(node.look()), create).is_err());
    }
}

#[test]
fn a_damaged_file_is_replaced_before_bytes_are_used() {
    let node = Node::default();
    node.inside().file = Some(b"nonsense".to_vec());
    assert!(!node.is_known(&node.zeros(), mib(0, 16)));
    let file = node.inside().file.clone().unwrap();
    assert_eq!(Record::from_bytes(&file), Some(Record::default()));
}

#[test]
fn what_a_listing_shows_is_not_free() {
    let node = Node::default();
    let zeros = node.zeros();
    node.erased(&zeros, Uuid::from_u128(7), mib(0, 16));
    zeros.see(&region(), &[mib(32, 8)], &[mib(2, 1)]);
    assert!(!node.is_known(&zeros, mib(0, 4)));
    let node = Node::default();
    let zeros = node.zeros();
    node.erased(&zeros, Uuid::from_u128(7), mib(0, 16));
    zeros.see(&region(), &[mib(32, 8)], &[mib(2, 1)]);
    assert!(node.is_known(&zeros, mib(4, 4)));
}

fn note_erased(node: &Node, zeros: &KnownZeros, part: Extent) {
    zeros.note_erased(&region(), OURS, part, || Some(node.look()));
}

fn erased(node: &Node, extent: Extent) -> Bytes {
    node.zeros().erased(&region(), OURS, extent, || Some(node.look()))
}

#[test]
fn how_far_an_erasure_came_outlives_the_driver_and_what_it_does_beside() {
    let node = Node::default();
    node.write(OURS, mib(16, 32));
    let zeros = node.zeros();
    note_erased(&node, &zeros, mib(16, 4));
    note_erased(&node, &zeros, mib(16, 8));
    assert_eq!(erased(&node, mib(16, 32)), Bytes::mib(8));
    // Another volume comes and goes, and its bytes are known to be zero beside that.
    let other = Uuid::from_u128(9);
    let create = || {
        node.write(other, mib(0, 16));
        Ok::<_, NotWithdrawn>(())
    };
    zeros.create(&region(), other, || Some(node.look()), create).unwrap();
    assert_eq!(erased(&node, mib(16, 32)), Bytes::mib(8));
    let destroy = || {
        node.delete(other);
        Ok::<_, NotWithdrawn>(())
    };
    zeros
        .destroy(&region(), other, &[mib(0, 16)], || Some(node.look()), destroy)
        .unwrap();
    assert_eq!(erased(&node, mib(16, 32)), Bytes::mib(8));
    assert_eq!(zeros.free(&region(), || Some(node.look())), [mib(0, 16)]);
    assert_eq!(erased(&node, mib(18, 32)), Bytes::ZERO, "it is elsewhere");
}

#[test]
fn how_far_an_erasure_came_is_not_known_after_somebody_else_wrote_a_label() {
    let node = Node::default();
    node.write(OURS, mib(16, 32));
    note_erased(&node, &node.zeros(), mib(16, 8));
    node.write(Uuid::from_u128(8), mib(0, 16));
    assert_eq!(erased(&node, mib(16, 32)), Bytes::ZERO);
}

#[test]
fn how_far_an_erasure_came_is_forgotten_with_its_namespace() {
    let node = Node::default();
    let zeros = node.zeros();
    node.write(OURS, mib(16, 32));
    note_erased(&node, &zeros, mib(16, 8));
    let destroy = || {
        node.delete(OURS);
        Ok::<_, NotWithdrawn>(())
    };
    zeros
        .destroy(&region(), OURS, &[], || Some(node.look()), destroy)
        .unwrap();
    // The same volume again, at the same place.
    assert!(!node.is_known(&zeros, mib(16, 32)));
    assert_eq!(erased(&node, mib(16, 32)), Bytes::ZERO);
}

/// As the driver wrote it before erasures were noted.
#[test]
fn a_record_of_an_earlier_version_is_read() {
    let node = Node::default();
    node.erased(&node.zeros(), Uuid::from_u128(7), mib(0, 16));
    let file = String::from_utf8(node.inside().file.clone().unwrap()).unwrap();
    assert!(file.contains(r#""extents":[{"start":0,"size":16777216}]}"#), "{file}");
}
