//! What the kernel gives of the holes of a region.

use serde::Serialize;

use crate::{Alignment, Bytes, Extent, usable_of};

/// What the kernel would give to new namespaces of a region. That may be less than the space between its namespaces:
///
/// - The kernel compares a size with what it counts as free (`size_store` in `drivers/nvdimm/namespace_devs.c`), and counts each
///   namespace as rounded up to the alignment by itself (`nd_pmem_available_dpa` in `drivers/nvdimm/dimm_devs.c`). Where two
///   that are not ours meet inside one unit, it counts that unit twice.
/// - It may keep space for a namespace that was never finished and that it does not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// The largest namespace.
    pub largest: Bytes,
    /// All namespaces together.
    pub total: Bytes,
}

impl Offer {
    /// All that is between the namespaces.
    pub const EVERYTHING: Self = Self {
        largest: Bytes::MAX,
        total: Bytes::MAX,
    };

    /// Whether it leaves nothing out.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::EVERYTHING
    }

    /// The parts of `holes` that can be counted on, where the kernel hands out multiples of `unit`; ascending, as `holes`.
    ///
    /// Whatever is placed into them one by one, the kernel gives it, and in the same place: it takes the lowest hole that is
    /// large enough, so what it keeps back is taken off the highest. Where it hides space inside of a hole, nobody knows where,
    /// and only the sizes are right.
    #[must_use]
    pub fn of(self, holes: Vec<Extent>, unit: Alignment) -> Vec<Extent> {
        let mut offered = holes;
        for hole in &mut offered {
            let hidden = hole.aligned(unit.get()).size.minus(self.largest);
            shorten(hole, hidden, unit);
        }
        let mut withheld = usable_of(&offered, unit.get()).minus(self.total);
        for hole in offered.iter_mut().rev() {
            let part = withheld.min(hole.aligned(unit.get()).size);
            shorten(hole, part, unit);
            withheld = withheld.minus(part);
        }
        offered.retain(|hole| !hole.size.is_zero());
        offered
    }
}

/// Takes `bytes` off the end of what the kernel can use of a hole.
fn shorten(hole: &mut Extent, bytes: Bytes, unit: Alignment) {
    if !bytes.is_zero() {
        let end = hole.aligned(unit.get()).end().minus(bytes.round_up(unit.get()));
        hole.size = end.minus(hole.start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kib(start: u32, size: u32) -> Extent {
        Extent::new(Bytes::kib(start), Bytes::kib(size))
    }

    fn mib(start: u32, size: u32) -> Extent {
        Extent::new(Bytes::mib(start), Bytes::mib(size))
    }

    fn unit() -> Alignment {
        Alignment::try_from(Bytes::mib(2)).unwrap()
    }

    fn offer(largest: u32, total: u32) -> Offer {
        Offer {
            largest: Bytes::mib(largest),
            total: Bytes::mib(total),
        }
    }

    #[test]
    fn everything_is_everything() {
        let holes = vec![kib(3, 9000), mib(32, 16)];
        assert_eq!(Offer::EVERYTHING.of(holes.clone(), unit()), holes);
    }

    /// Measured on Linux 6.1: of 512 MiB, foreign namespaces of 20484 KiB and 5 MiB + 4 KiB leave 486 MiB from 26 MiB on, and
    /// the kernel counts 484.
    #[test]
    fn a_unit_that_is_counted_twice_is_taken_off_the_end() {
        let first = Bytes::kib(20484).plus(Bytes::kib(5124));
        let holes = vec![Extent::new(first, Bytes::mib(512).minus(first))];
        let offered = offer(486, 484).of(holes, unit());
        assert_eq!(offered[0].aligned(Bytes::mib(2)), mib(26, 484));
    }

    #[test]
    fn what_is_withheld_comes_off_the_highest_holes() {
        let holes = vec![mib(0, 16), mib(32, 64), mib(128, 2)];
        assert_eq!(offer(64, 78).of(holes.clone(), unit()), [mib(0, 16), mib(32, 62)]);
        assert_eq!(offer(64, 82).of(holes.clone(), unit()), holes);
        assert_eq!(offer(64, 0).of(holes, unit()), []);
    }

    #[test]
    fn a_hole_that_hides_space_is_no_larger_than_the_largest_namespace() {
        let holes = vec![mib(0, 16), mib(32, 64)];
        assert_eq!(offer(40, 56).of(holes.clone(), unit()), [mib(0, 16), mib(32, 40)]);
        assert_eq!(offer(40, 40).of(holes, unit()), [mib(0, 16), mib(32, 24)]);
    }

    /// What the kernel cannot use at the end of a hole is not what it withholds.
    #[test]
    fn odd_ends_are_not_counted() {
        let holes = vec![kib(0, 17 * 1024)];
        assert_eq!(offer(16, 16).of(holes.clone(), unit()), holes);
        assert_eq!(offer(14, 14).of(holes, unit()), [mib(0, 14)]);
    }
}
