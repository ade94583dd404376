//! Namespaces of ours that are there only while free bytes are made zero, before anybody needs them.
//!
//! Free bytes can only be written through a namespace. One that takes a whole hole keeps nobody out: what it takes counts as free,
//! and it goes when somebody wants a namespace in its region ([`Devices::create`](super::Devices::create)). Its mark says that it is
//! being made, for a volume that nobody asked for, so that every driver destroys one that it finds after a crash.

use jiff::Timestamp;
use placement::{Extent, RegionId, free_between};

use super::inventory::{Inventory, Namespace, Region};
use super::mark::{Mark, Owner, Stage};

/// What their ids begin with. No volume has such an id: it is no DNS label.
const SWEEP: &str = "sweep_";

/// The id of the namespace that sweeps this extent now. No other sweep has it, so that no two leave the same label.
#[must_use]
pub fn sweep_id(region: &RegionId, extent: Extent, now: Timestamp) -> String {
    format!("{SWEEP}{region}_{:x}_{:x}", extent.start.get(), now.as_second())
}

impl Namespace {
    /// Whether it is there only while its bytes are made zero.
    #[must_use]
    pub fn is_sweep(&self) -> bool {
        self.sweep().is_some()
    }

    /// Its id, if it is there only while its bytes are made zero.
    pub(super) fn sweep(&self) -> Option<&str> {
        match self.owner() {
            Owner::Ours(Mark {
                volume,
                stage: Stage::Making,
            }) => Some(volume).filter(|id| id.starts_with(SWEEP)),
            Owner::Ours(_) | Owner::Newer { .. } | Owner::Foreign => None,
        }
    }
}

impl Inventory {
    /// What is swept in a region.
    pub fn sweeps<'a>(&'a self, region: &'a Region) -> impl Iterator<Item = &'a Namespace> {
        self.in_region(&region.id).filter(|found| found.is_sweep())
    }

    /// `extents` of a region with what is swept there, as if that were done.
    pub(super) fn with_sweeps(&self, region: &Region, extents: Vec<Extent>) -> Vec<Extent> {
        let mut sweeps = self.sweeps(region).peekable();
        if sweeps.peek().is_none() {
            return extents;
        }
        let free: Vec<Extent> = extents.into_iter().chain(sweeps.map(|found| found.extent)).collect();
        let taken = free_between(region.size, free);
        free_between(region.size, taken)
    }

    /// What is free in a region, without what is known to be `zero`.
    #[must_use]
    pub fn unknown(&self, region: &Region, zero: &[Extent]) -> Vec<Extent> {
        let mut left = self.free_region(region);
        // What no namespace can have is nobody's.
        left.free = left
            .free
            .iter()
            .map(|hole| hole.aligned(region.alignment.get()))
            .filter(|hole| !hole.size.is_zero())
            .collect();
        for zero in zero {
            left.take(*zero);
        }
        left.free
    }

    /// The next bytes to sweep, where some of these in a region are `unknown`: a whole hole, since nobody but the kernel chooses where
    /// in a region a namespace is. None if it would take others, or if a namespace may be there that the kernel does not show.
    #[must_use]
    pub fn next_sweep(&self, region: &Region, unknown: &[Extent]) -> Option<Extent> {
        if self.unseen.iter().any(|label| label.region == region.id) {
            return None;
        }
        let free = self.free_region(region);
        let holes = free.free.iter().map(|hole| hole.aligned(region.alignment.get()));
        let is_next = |(position, hole): &(usize, Extent)| {
            let is_unknown = unknown.iter().any(|unknown| unknown.overlaps(*hole));
            !hole.size.is_zero() && is_unknown && free.hole_for(hole.size) == Some(*position)
        };
        holes.enumerate().find(is_next).map(|(_, hole)| hole)
    }
}

#[cfg(test)]
mod tests;
