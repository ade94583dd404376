//! Where free space has bad blocks, and how to put namespaces exactly there. Pure.

use placement::{Alignment, Bytes, Extent, Region};

/// A namespace to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) extent: Extent,
    /// Whether it covers bad blocks. The others only keep the kernel away from what is below, and go again.
    pub(super) is_bad: bool,
}

/// The smallest extents that namespaces have to cover so that nobody gets the `bad` bytes of these holes: on multiples of
/// `unit`, ascending and apart from each other. What no namespace can be made of needs none.
pub(super) fn exposed(holes: &[Extent], bad: &[Extent], unit: Alignment) -> Vec<Extent> {
    let unit = unit.get();
    let mut bad = bad.to_vec();
    bad.sort_unstable();
    let mut found: Vec<Extent> = Vec::new();
    for hole in usable(holes, unit) {
        for bad in bad.iter().filter(|bad| bad.overlaps(hole)) {
            let start = bad.start.max(hole.start).round_down(unit);
            let end = bad.end().min(hole.end()).round_up(unit);
            match found.last_mut().filter(|last| start <= last.end()) {
                Some(last) => last.size = end.max(last.end()).minus(last.start),
                None => found.push(Extent::new(start, end.minus(start))),
            }
        }
    }
    found
}

/// The namespaces that have to be made, in this order, so that each lands where it should: the kernel takes the lowest hole that
/// fits (`scan_allocate` in `drivers/nvdimm/namespace_devs.c`), so everything below the last exposed extent is filled, from
/// below. None if nothing is exposed.
pub(super) fn pieces(holes: &Region, exposed: &[Extent]) -> Vec<Piece> {
    let end = exposed.last().map_or(Bytes::ZERO, |last| last.end());
    let mut clean = Region {
        free: usable(&holes.free, holes.alignment.get()).collect(),
        ..holes.clone()
    };
    clean.take(Extent::new(end, Bytes::MAX.minus(end)));
    for extent in exposed {
        clean.take(*extent);
    }
    let filler = |extent| Piece { extent, is_bad: false };
    let bad = |extent: &Extent| Piece {
        extent: *extent,
        is_bad: true,
    };
    let mut all: Vec<Piece> = clean
        .free
        .into_iter()
        .map(filler)
        .chain(exposed.iter().map(bad))
        .collect();
    all.sort_unstable_by_key(|piece| piece.extent);
    all
}

/// What the kernel can use of each hole.
fn usable(holes: &[Extent], unit: Bytes) -> impl Iterator<Item = Extent> {
    let aligned = holes.iter().map(move |hole| hole.aligned(unit));
    aligned.filter(|hole| !hole.size.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;
    use placement::RegionId;

    fn mib(start: u32, size: u32) -> Extent {
        Extent::new(Bytes::mib(start), Bytes::mib(size))
    }

    fn page(mib: u32) -> Extent {
        Extent::new(Bytes::mib(mib).plus(Bytes::kib(512)), Bytes::kib(4))
    }

    fn unit(mib: u32) -> Alignment {
        Alignment::try_from(Bytes::mib(mib)).unwrap()
    }

    #[test]
    fn a_page_exposes_the_unit_that_it_is_in() {
        assert_eq!(exposed(&[mib(0, 64)], &[page(11)], unit(2)), [mib(10, 2)]);
        assert_eq!(exposed(&[mib(0, 64)], &[page(11)], unit(6)), [mib(6, 6)]);
        assert_eq!(exposed(&[mib(0, 64)], &[], unit(2)), []);
    }

    #[test]
    fn what_a_namespace_has_is_not_exposed() {
        let holes = [mib(0, 10), mib(12, 52)];
        assert_eq!(exposed(&holes, &[page(11)], unit(2)), []);
        assert_eq!(exposed(&holes, &[mib(9, 4)], unit(2)), [mib(8, 2), mib(12, 2)]);
    }

    #[test]
    fn what_the_kernel_cannot_use_is_not_exposed() {
        assert_eq!(exposed(&[mib(1, 31)], &[page(1), page(31)], unit(16)), [mib(16, 16)]);
        assert_eq!(exposed(&[mib(1, 14)], &[page(3)], unit(16)), []);
    }

    #[test]
    fn neighbours_are_one_extent() {
        let bad = [page(20), page(10), page(11), page(13)];
        assert_eq!(exposed(&[mib(0, 64)], &bad, unit(2)), [mib(10, 4), mib(20, 2)]);
    }

    #[test]
    fn everything_below_is_filled() {
        let holes = Region {
            id: RegionId("r".into()),
            numa: None,
            alignment: unit(2),
            free: vec![mib(1, 7), mib(16, 16), mib(40, 24)],
        };
        let planned = pieces(&holes, &[mib(18, 2), mib(44, 2)]);
        let planned: Vec<(Extent, bool)> = planned.iter().map(|piece| (piece.extent, piece.is_bad)).collect();
        let expected = [
            (mib(2, 6), false),
            (mib(16, 2), false),
            (mib(18, 2), true),
            (mib(20, 12), false),
            (mib(40, 4), false),
            (mib(44, 2), true),
        ];
        assert_eq!(planned, expected);
        assert_eq!(pieces(&holes, &[]), []);
    }
}
