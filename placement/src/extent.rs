//! Stretches of bytes inside a region.

use serde::{Deserialize, Serialize};

use crate::Bytes;

/// A stretch of bytes inside a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Extent {
    /// Offset of its first byte from the start of the region.
    pub start: Bytes,
    /// Its length.
    pub size: Bytes,
}

impl Extent {
    /// The extent of `size` bytes at offset `start`.
    #[must_use]
    pub const fn new(start: Bytes, size: Bytes) -> Self {
        Self { start, size }
    }

    /// Offset of the first byte behind it.
    #[must_use]
    pub const fn end(self) -> Bytes {
        self.start.plus(self.size)
    }

    /// The part that starts and ends on multiples of `step`; it may be empty.
    ///
    /// The kernel allocates only such parts of a hole (`space_valid` in `drivers/nvdimm/namespace_devs.c`).
    #[must_use]
    pub const fn aligned(self, step: Bytes) -> Self {
        let start = self.start.round_up(step);
        Self::new(start, self.end().round_down(step).minus(start))
    }

    /// Whether each byte of `other` is a byte of this one.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end() <= self.end()
    }

    /// Whether the two share a byte.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.start < other.end() && other.start < self.end()
    }
}

/// What the kernel can use of `holes` where it hands out multiples of `step`: see [`Extent::aligned`].
#[must_use]
pub fn usable_of(holes: &[Extent], step: Bytes) -> Bytes {
    holes.iter().map(|hole| hole.aligned(step).size).sum()
}

/// The free extents of a region of `size` bytes in which `taken` is in use, in ascending order.
///
/// Taken extents may come in any order, overlap, or reach past the region: nothing of them is ever free.
#[must_use]
pub fn free_between(size: Bytes, taken: impl IntoIterator<Item = Extent>) -> Vec<Extent> {
    let mut taken: Vec<Extent> = taken.into_iter().collect();
    taken.sort_unstable();
    let end_of_region = Extent::new(size, Bytes::ZERO);
    let mut free = Vec::new();
    let mut cursor = Bytes::ZERO;
    for next in taken.into_iter().chain([end_of_region]) {
        let gap = next.start.min(size).minus(cursor);
        if !gap.is_zero() {
            free.push(Extent::new(cursor, gap));
        }
        cursor = cursor.max(next.end());
    }
    free
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mib(start: u32, size: u32) -> Extent {
        Extent::new(Bytes::mib(start), Bytes::mib(size))
    }

    #[test]
    fn free_is_what_nobody_took() {
        let free = free_between(Bytes::mib(512), [mib(128, 64), mib(0, 64), mib(500, 20), mib(130, 10)]);
        assert_eq!(free, [mib(64, 64), mib(192, 308)]);
        assert_eq!(free_between(Bytes::mib(16), []), [mib(0, 16)]);
        assert_eq!(free_between(Bytes::mib(16), [mib(0, 16)]), []);
    }

    #[test]
    fn aligned_part() {
        assert_eq!(mib(3, 20).aligned(Bytes::mib(16)), mib(16, 0));
        assert_eq!(mib(3, 30).aligned(Bytes::mib(16)), mib(16, 16));
        assert_eq!(mib(4, 8).aligned(Bytes::mib(2)), mib(4, 8));
    }
}
