use proptest::prelude::*;

use super::*;

const R: &str = "nfit-1";

fn region() -> RegionId {
    RegionId(R.into())
}

fn free(free: Vec<Extent>) -> Zeros {
    Zeros {
        free,
        erased: BTreeMap::new(),
    }
}

fn mib(start: u32, size: u32) -> Extent {
    Extent::new(Bytes::mib(start), Bytes::mib(size))
}

/// Whether each MiB below 64 is in one of them.
fn cells(extents: &[Extent]) -> Vec<bool> {
    let is_in = |cell: u32| extents.iter().any(|extent| extent.overlaps(mib(cell, 1)));
    (0..64).map(is_in).collect()
}

fn extents() -> impl Strategy<Value = Vec<Extent>> {
    prop::collection::vec((0_u32..60, 1_u32..5).prop_map(|(start, size)| mib(start, size)), 0..8)
}

proptest! {
    #[test]
    fn sets_of_bytes(one in extents(), other in extents()) {
        let (a, b) = (cells(&one), cells(&other));
        let each = |f: fn(bool, bool) -> bool| -> Vec<bool> { a.iter().zip(&b).map(|(a, b)| f(*a, *b)).collect() };
        prop_assert_eq!(cells(&common(&one, &other)), each(|a, b| a && b));
        prop_assert_eq!(cells(&either(&one, &other)), each(|a, b| a || b));
        prop_assert_eq!(cells(&without(&one, &other)), each(|a, b| a && !b));
        let merged = either(&one, &other);
        prop_assert!(merged.windows(2).all(|pair| pair[0].end() < pair[1].start));
    }

    #[test]
    fn a_file_that_is_not_whole_says_nothing(extents in extents(), at in 0_usize..200, flip in 1_u8.., cut in 0_usize..200) {
        let mut record = Record::default();
        record.put(&region(), "hash".into(), free(extents));
        let bytes = record.to_bytes().unwrap();
        prop_assert_eq!(Record::from_bytes(&bytes), Some(record));
        prop_assert_eq!(Record::from_bytes(&bytes[..cut.min(bytes.len() - 1)]), None);
        let mut damaged = bytes;
        let at = at % damaged.len();
        damaged[at] ^= flip;
        prop_assert_eq!(Record::from_bytes(&damaged), None);
    }
}

#[test]
fn counts_under_its_labels_only() {
    let mut record = Record::default();
    record.put(&region(), "now".into(), free(vec![mib(0, 4)]));
    assert_eq!(record.under(&region(), Some("now")), Some(&free(vec![mib(0, 4)])));
    assert_eq!(record.under(&region(), Some("then")), None);
    assert_eq!(record.under(&region(), None), None);
    assert_eq!(record.under(&RegionId("another".into()), Some("now")), None);
    record.forget_part(&region(), &[mib(1, 1)]);
    assert_eq!(record.noted(&region()), [mib(0, 1), mib(2, 2)]);
    record.forget_part(&region(), &[mib(0, 9)]);
    assert!(!record.is_about(&region()));
}
