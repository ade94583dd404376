//! Label areas that kernel 6.1 wrote on emulated NVDIMMs, whole and damaged.

use placement::Bytes;
use uuid::uuid;

use super::*;

/// Written with labels of version 1.1: `vol0` and `vol1`, and a slot that is no longer in use.
const V1_1: &[u8] = include_bytes!("../../testdata/label-area-1.1.bin");
/// Written with labels of version 1.2: `pvc-1` (destroyed), `pvc-2`, `pvc-3`.
const V1_2: &[u8] = include_bytes!("../../testdata/label-area-1.2.bin");
/// Size of either area; what is not in the files was never written.
const AREA: usize = 2 << 20;

fn index(area: &[u8]) -> Index {
    Index::parse(area, AREA).unwrap().unwrap()
}

fn labels(area: &[u8]) -> Vec<Label> {
    index(area).labels(area).unwrap()
}

/// Writes checksums over what a test changed: of the block in force, and of each label that has one.
fn repaired(mut area: Vec<u8>, block: std::ops::Range<usize>, labels: &[std::ops::Range<usize>]) -> Vec<u8> {
    let block = sum(&area[block.clone()], CHECKSUM)
        .to_le_bytes()
        .map(|byte| (block.start + CHECKSUM, byte));
    let labels = labels
        .iter()
        .map(|label| (label.start + 248, sum(&area[label.clone()], 248)));
    let labels: Vec<(usize, u64)> = labels.collect();
    for (offset, (at, byte)) in block.into_iter().enumerate() {
        area[at + offset] = byte;
    }
    for (at, sum) in labels {
        area[at..at + 8].copy_from_slice(&sum.to_le_bytes());
    }
    area
}

#[test]
fn labels_of_128_bytes() {
    let index = index(V1_1);
    assert_eq!(
        (index.sequence, index.free_slots(), index.end()),
        (1, 16_345, V1_1.len() + 128)
    );
    let label = |slot, uuid, name: &str, start| Label {
        slot,
        uuid,
        name: name.into(),
        start: Bytes::mib(start),
        size: Bytes::mib(64),
        position: 0,
        devices: Some(1),
        is_updating: false,
    };
    let expected = [
        label(1, uuid!("2fd7c688-5d76-4b3b-891f-38f73b9bf789"), "vol0", 0),
        label(2, uuid!("d2083fd6-24c7-410a-8424-40b014a92c2e"), "vol1", 64),
    ];
    assert_eq!(labels(V1_1), expected);
}

#[test]
fn labels_of_256_bytes() {
    let index = index(V1_2);
    assert_eq!((index.sequence, index.free_slots()), (3, 8_179));
    let seen: Vec<_> = labels(V1_2)
        .into_iter()
        .map(|l| (l.slot, l.name, l.start, l.size))
        .collect();
    let expected = [
        (1, "pvc-3".to_owned(), Bytes::ZERO, Bytes::mib(16)),
        (2, "pvc-2".to_owned(), Bytes::mib(64), Bytes::mib(32)),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn labels_of_cxl_devices() {
    let mut area = V1_2.to_vec();
    let (block, slots) = (0x500..0xa00, [0xb00..0xc00, 0xc00..0xd00]);
    area[block.start + MAJOR] = 2;
    area[block.start + MINOR] = 1;
    for (slot, kind) in slots.iter().zip([
        "68bb2c0a-5a77-4937-9f85-3caf41a0f93c",
        "529d7c61-da07-47c4-a93f-ecdf2c06f444",
    ]) {
        let old = area[slot.clone()].to_vec();
        let new = &mut area[slot.clone()];
        new[..16].copy_from_slice(uuid::Uuid::parse_str(kind).unwrap().as_bytes());
        new[16..100].copy_from_slice(&old[..84]);
        new[102..104].copy_from_slice(&3_u16.to_le_bytes());
    }
    let area = repaired(area, block, &slots);
    let [only] = &labels(&area)[..] else {
        panic!("a region's label is not that of a namespace");
    };
    assert_eq!(
        (&*only.name, only.start, only.size),
        ("pvc-3", Bytes::ZERO, Bytes::mib(16))
    );
    assert_eq!((only.position, only.devices), (3, None));
    assert_eq!(only.uuid, uuid!("7ac29d1f-43b8-4560-8089-78a73770b6fd"));
}

#[test]
fn a_label_being_updated_says_so() {
    let mut area = V1_1.to_vec();
    area[0x1200 + 128 + 80] = 8;
    assert_eq!(
        labels(&area).iter().map(|label| label.is_updating).collect::<Vec<_>>(),
        [true, false]
    );
}

#[test]
fn a_block_that_was_cut_off_leaves_the_one_before_in_force() {
    let mut area = V1_1.to_vec();
    let later = index(&area);
    area[0x800] ^= 1;
    let before = index(&area);
    assert_eq!((before.sequence, later.sequence), (3, 1));
}

/// By the headers alone, as by the whole blocks.
#[test]
fn an_index_is_in_force_until_another_one_comes_after_it() {
    let later = V1_1.to_vec();
    let mut before = later.clone();
    before[0x800] ^= 1;
    let (id_later, id_before) = (index(&later).id(), index(&before).id());
    assert!(Index::is_in_force(id_later, &later));
    assert!(!Index::is_in_force(id_before, &later));
    // The block that is not in force may be damaged, or never have been written.
    let mut damaged = later.clone();
    let other = (1 - usize::from(id_later.number)) * id_later.block;
    damaged[other..other + 16].fill(0);
    assert!(Index::is_in_force(id_later, &damaged));
    // Its own is another one, or cannot be read.
    let own = usize::from(id_later.number) * id_later.block;
    let mut rewritten = later.clone();
    rewritten[own + CHECKSUM] ^= 1;
    assert!(!Index::is_in_force(id_later, &rewritten));
    let enough = Index::needs_to_compare(id_later.block);
    assert!(Index::is_in_force(id_later, &later[..enough]));
    assert!(!Index::is_in_force(id_later, &later[..enough - 1]));
}

#[test]
fn sequence_numbers_go_round() {
    assert!(is_later(2, 1) && is_later(3, 2) && is_later(1, 3));
    assert!(!is_later(1, 2) && !is_later(2, 3) && !is_later(3, 1));
}

#[test]
fn damage_is_not_an_empty_area() {
    assert_eq!(Index::parse(&vec![0; AREA], AREA), Ok(None));
    assert_eq!(Index::parse(&vec![0xff; AREA], AREA), Ok(None));
    for area in [V1_1, V1_2] {
        let mut area = area.to_vec();
        let block = block_size(AREA, index(&area).label_size).unwrap();
        area[HEADER] ^= 1;
        area[block + HEADER] ^= 1;
        assert_eq!(Index::parse(&area, AREA), Err(LabelError::Index));
    }
}

#[test]
fn a_damaged_label_is_not_a_gap() {
    let fault = |area: &[u8], at: usize| {
        let mut area = area.to_vec();
        area[at] ^= 0x81;
        match index(&area).labels(&area) {
            Err(LabelError::Label { slot: 1, fault }) => fault,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(fault(V1_1, 0x1280 + 120), "was written for another slot");
    assert_eq!(fault(V1_1, 0x1280 + 104), "starts or ends between two pages");
    assert_eq!(fault(V1_1, 0x1280 + 119), "has a start or size that no device has");
    assert_eq!(fault(V1_2, 0xb00 + 16), "has a wrong checksum");
    let mut nil = V1_1.to_vec();
    nil[0x1280..0x1290].fill(0);
    assert!(index(&nil).labels(&nil).is_err());
}

#[test]
fn a_read_that_ends_early_is_an_error() {
    let short = &V1_1[..V1_1.len() - 1];
    assert_eq!(
        index(short).labels(short),
        Err(LabelError::Short { length: short.len() })
    );
    assert_eq!(Index::parse(&V1_1[..100], AREA), Err(LabelError::Short { length: 100 }));
}

#[test]
fn areas_of_every_size_are_laid_out_as_the_kernel_does() {
    let laid_out = |area, label| block_size(area, label);
    assert_eq!(
        (laid_out(2 << 20, 128), laid_out(2 << 20, 256)),
        (Some(0x900), Some(0x500))
    );
    assert_eq!(
        (laid_out(1 << 20, 128), laid_out(128 << 10, 128)),
        (Some(0x500), Some(0x100))
    );
    assert_eq!((laid_out(512, 128), laid_out(0, 256)), (None, None));
    assert_eq!(Index::needs(2 << 20), 0x1200);
}

/// The label of a namespace that was destroyed stays in its slot, until another is written there.
#[test]
fn slots_tell_what_was_written() {
    let area = [V1_2, &[0; 1024]].concat();
    let slots = index(V1_2).slots(&area).unwrap();
    let used: Vec<bool> = slots.iter().map(|slot| slot.is_used).collect();
    assert_eq!(used, [false, true, true, false]);
    let uuids: Vec<bool> = slots.iter().map(|slot| slot.uuid.is_some()).collect();
    assert_eq!(uuids, [true, true, true, false], "{slots:?}");
    assert!(index(V1_2).slots(&area[..index(V1_2).end() - 1]).is_err());
}
