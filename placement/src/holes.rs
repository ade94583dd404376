//! The free space of a node reduced to what decides: what the kernel can use of each hole, and the one choice among them.
//!
//! The kernel fills a hole from its first aligned byte, so a namespace never splits a hole that anything else could use:
//! what is in front of the aligned part is smaller than one unit of the region and useless to all. A node is then no
//! more than a list of sizes, one for each hole, that only ever fall. Simulating on these is exact, and cheap enough
//! to try many orders of creation.

use std::ops::Range;

use smallvec::SmallVec;

use crate::region::lowest;
use crate::{Alignment, Bytes, NumaNode, Region};

/// The holes of all regions of a node.
///
/// It is in one piece of memory for up to two regions with ten holes, because thousands of nodes are asked for each pod:
/// with each list in a place of its own a filter takes a third longer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holes {
    regions: SmallVec<[RegionHoles; 2]>,
    sizes: Sizes,
}

/// What the kernel can use of each hole: of one region after the other, and in each region the lowest hole first.
pub(crate) type Sizes = SmallVec<[Bytes; 10]>;

/// What a request takes from a hole of each region, in the order of the regions; none where it cannot be.
pub(crate) type Footprints = SmallVec<[Option<Bytes>; 4]>;

/// One region, without its name.
#[derive(Clone, Debug)]
pub(crate) struct RegionHoles {
    pub alignment: Alignment,
    pub numa: Option<NumaNode>,
    /// What a volume here costs on top of what it leaves over: [`Occupancy::surcharge`](crate::Occupancy::surcharge).
    pub surcharge: Bytes,
    /// The largest of its holes: whether anything fits at all is answered without reading each, which saves a quarter of
    /// the time of a filter.
    pub largest: Bytes,
    /// Which of the [`Sizes`] are those of its holes.
    pub holes: Range<usize>,
}

/// The hole that a request goes into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The position of its region.
    pub region: usize,
    /// Its position in the [`Sizes`].
    pub hole: usize,
    /// What the request takes from it.
    pub taken: Bytes,
    /// What the kernel can still use of it then.
    pub left_over: Bytes,
}

impl Holes {
    /// Of a node with these regions.
    pub fn of(regions: &[Region]) -> Self {
        let mut holes = Self::default();
        for region in regions {
            let first = holes.sizes.len();
            holes.sizes.extend(region.holes());
            holes.regions.push(RegionHoles {
                alignment: region.alignment,
                numa: region.numa,
                surcharge: Bytes::ZERO,
                largest: region.holes().max().unwrap_or_default(),
                holes: first..holes.sizes.len(),
            });
        }
        holes
    }

    pub fn regions(&self) -> &[RegionHoles] {
        &self.regions
    }

    pub fn regions_mut(&mut self) -> &mut [RegionHoles] {
        &mut self.regions
    }

    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// The hole that a request goes into while the holes have `sizes`, if it takes `footprint` in each region: there the
    /// kernel takes the lowest hole that is large enough, and the node driver chooses the region where the least is left
    /// over of it, then the first.
    pub fn choose(
        &self,
        sizes: &[Bytes],
        mut footprint: impl FnMut(usize, &RegionHoles) -> Option<Bytes>,
    ) -> Option<Choice> {
        let mut best: Option<Choice> = None;
        for (region, holes) in self.regions.iter().enumerate() {
            let Some(taken) = footprint(region, holes) else {
                continue;
            };
            let Some(above) = lowest(sizes[holes.holes.clone()].iter().copied(), taken) else {
                continue;
            };
            let hole = holes.holes.start + above;
            let left_over = sizes[hole].minus(taken);
            if best.is_none_or(|best| left_over < best.left_over) {
                best = Some(Choice {
                    region,
                    hole,
                    taken,
                    left_over,
                });
            }
        }
        best
    }

    /// Whether a request that takes `footprints` fits if it is the only one.
    pub fn have_one_for(&self, footprints: &Footprints) -> bool {
        let mut regions = self.regions.iter().zip(footprints);
        regions.any(|(region, footprint)| footprint.is_some_and(|footprint| footprint <= region.largest))
    }

    /// Whether requests may all be here: each has a hole, and there are as many bytes as they take at least. Where this is
    /// not so, it never will be, as long as no volume goes.
    pub fn may_hold(&self, requests: &[Footprints]) -> bool {
        let allowed = |region: usize| requests.iter().any(|footprints| footprints[region].is_some());
        let regions = self.regions.iter().enumerate().filter(|(region, _)| allowed(*region));
        let free: Bytes = regions
            .flat_map(|(_, region)| &self.sizes[region.holes.clone()])
            .copied()
            .sum();
        let least = |footprints: &Footprints| footprints.iter().flatten().min().copied();
        requests.iter().filter_map(least).sum::<Bytes>() <= free
            && requests.iter().all(|footprints| self.have_one_for(footprints))
    }
}
