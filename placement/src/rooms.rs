//! The free space of a node reduced to what decides: the usable bytes of each hole, in the kernel's order.
//!
//! The kernel fills a hole from its first aligned byte, so a namespace never splits a hole that anything else could use:
//! what is in front of the aligned part is smaller than one unit of the region and useless to all. A node is then no
//! more than a list of numbers, one for each hole, that only ever fall. Simulating on these is exact, and cheap enough
//! to try many orders of creation.

use std::ops::Range;

use smallvec::SmallVec;

use crate::{Alignment, Bytes, Node, Region, VolumeRequest};

/// The holes of all regions of a node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rooms {
    /// In the order of the node.
    pub(crate) regions: Vec<RegionRooms>,
    /// Usable bytes of each hole of each region, in the order in which the kernel looks at them.
    pub(crate) free: Vec<Bytes>,
}

/// The holes of one region.
#[derive(Clone, Debug)]
pub(crate) struct RegionRooms {
    pub(crate) step: Bytes,
    pub(crate) holes: Range<usize>,
}

/// What a claim takes from a hole of each region, none where it cannot be.
pub(crate) type Takes = SmallVec<[Option<Bytes>; 4]>;

impl Rooms {
    pub(crate) fn of(node: &Node) -> Self {
        let mut rooms = Self::default();
        for region in &node.regions {
            let first = rooms.free.len();
            rooms.free.extend(usable_holes(region));
            rooms.regions.push(RegionRooms {
                step: region.alignment.get(),
                holes: first..rooms.free.len(),
            });
        }
        rooms
    }

    /// What `want` takes in each region.
    pub(crate) fn takes(node: &Node, request: &VolumeRequest) -> Takes {
        let takes = |region: &Region| {
            let raw = request
                .mode
                .footprint(region.alignment, request.required, request.limit)
                .ok();
            let raw = raw.filter(|_| request.numa.allows(region.numa));
            raw.map(|raw| from_hole(raw, region.alignment))
        };
        node.regions.iter().map(takes).collect()
    }

    /// The region of a hole.
    pub(crate) fn region_of(&self, hole: usize) -> usize {
        self.regions.partition_point(|region| region.holes.end <= hole)
    }

    /// The largest hole of each region.
    pub(crate) fn largest(&self) -> Vec<Bytes> {
        let largest = |region: &RegionRooms| self.free[region.holes.clone()].iter().copied().max();
        self.regions
            .iter()
            .map(|region| largest(region).unwrap_or_default())
            .collect()
    }

    /// Whether claims may all be here: each has a hole, and there are as many bytes as they take at least. Where this is not
    /// so, it never will be, as long as nothing goes.
    pub(crate) fn may_hold(&self, claims: &[Takes]) -> bool {
        let open = |region: usize| claims.iter().any(|takes| takes[region].is_some());
        let regions = self.regions.iter().enumerate().filter(|(region, _)| open(*region));
        let free: Bytes = regions
            .flat_map(|(_, region)| &self.free[region.holes.clone()])
            .copied()
            .sum();
        let least: Bytes = claims
            .iter()
            .filter_map(|takes| takes.iter().flatten().min())
            .copied()
            .sum();
        least <= free && claims.iter().all(|takes| self.choose(&self.free, takes).is_some())
    }

    /// The hole that a claim goes into when the holes have `free` bytes left, and what is left of it then: in each region
    /// the kernel takes the lowest hole that is large enough, and the driver the region where the least is left over.
    pub(crate) fn choose(&self, free: &[Bytes], takes: &[Option<Bytes>]) -> Option<(usize, Bytes)> {
        let mut best: Option<(usize, Bytes)> = None;
        for (region, takes) in self.regions.iter().zip(takes) {
            let Some(takes) = *takes else { continue };
            let Some(hole) = region.holes.clone().find(|hole| free[*hole] >= takes) else {
                continue;
            };
            let left = free[hole].minus(takes);
            if best.is_none_or(|(_, least)| left < least) {
                best = Some((hole, left));
            }
        }
        best
    }
}

/// What a namespace of `raw` bytes takes from a hole: the next one starts on a multiple of the alignment.
pub(crate) fn from_hole(raw: Bytes, alignment: Alignment) -> Bytes {
    raw.round_up(alignment.get())
}

/// Usable bytes of each free extent of a region.
fn usable_holes(region: &Region) -> impl Iterator<Item = Bytes> {
    let step = region.alignment.get();
    region.free.iter().map(move |hole| hole.aligned(step).size)
}
