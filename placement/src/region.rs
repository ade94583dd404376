//! One region, and what the kernel does with a request for space in it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Alignment, Bytes, Extent, Mode, NumaNode, Refusal, Space, VolumeRequest};

/// A stable name of a region on its node: kernel names such as `region0` change from boot to boot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(inline))]
#[serde(transparent)]
pub struct RegionId(pub String);

impl fmt::Display for RegionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A region that namespaces can be made in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Region {
    /// Its stable name.
    pub id: RegionId,
    /// The NUMA node it belongs to, if the platform says.
    pub numa: Option<NumaNode>,
    /// The unit in which it hands out space.
    pub alignment: Alignment,
    /// Its free extents, ascending and apart from each other.
    pub free: Vec<Extent>,
}

impl Region {
    /// Its free space as a refusal shows it, with the largest namespace of `mode`.
    #[must_use]
    pub fn space(&self, mode: Mode) -> Space {
        let free = || self.free.iter().map(|extent| extent.size);
        Space {
            numa: self.numa,
            largest: self.largest_usable(mode),
            free: free().sum(),
            extents: free().count(),
        }
    }

    /// Usable bytes of the largest namespace that can be made in it now.
    #[must_use]
    pub fn largest_usable(&self, mode: Mode) -> Bytes {
        let step = mode.granularity(self.alignment);
        let usable = self.holes().map(|hole| mode.usable(hole.round_down(step)));
        usable.max().unwrap_or_default()
    }

    /// The position of the free extent that the kernel takes `footprint` bytes from: the lowest that is large enough.
    #[must_use]
    pub fn hole_for(&self, footprint: Bytes) -> Option<usize> {
        lowest(self.holes(), footprint)
    }

    /// Takes the space for `request` as the kernel does, and says where it is. NUMA wishes are not looked at.
    ///
    /// # Errors
    /// [`Refusal::NoSpace`] if no hole is large enough, else as [`Mode::footprint`]. The region is unchanged then.
    pub fn place(&mut self, request: &VolumeRequest) -> Result<Extent, Refusal> {
        let footprint = request.footprint(self.alignment)?;
        let hole = self.hole_for(footprint).ok_or_else(|| Refusal::NoSpace {
            required: request.required,
            space: vec![self.space(request.mode)],
        })?;
        let taken = Extent::new(self.free[hole].aligned(self.alignment.get()).start, footprint);
        self.take(taken);
        Ok(taken)
    }

    /// What the kernel can use of each free extent.
    pub(crate) fn holes(&self) -> impl Iterator<Item = Bytes> {
        let unit = self.alignment.get();
        self.free.iter().map(move |extent| extent.aligned(unit).size)
    }

    /// Takes an extent out of the free space, whatever part of it is free.
    pub fn take(&mut self, taken: Extent) {
        let parts = |hole: Extent| {
            let before = Extent::new(hole.start, taken.start.min(hole.end()).minus(hole.start));
            let behind = taken.end().max(hole.start);
            [before, Extent::new(behind, hole.end().minus(behind))]
        };
        self.free = self
            .free
            .iter()
            .flat_map(|hole| parts(*hole))
            .filter(|part| !part.size.is_zero())
            .collect();
    }
}

/// The hole that the kernel takes: the lowest that is large enough.
///
/// `scan_allocate` in `drivers/nvdimm/namespace_devs.c` walks the holes upwards; the caller never chooses the offset.
pub(crate) fn lowest(mut sizes: impl Iterator<Item = Bytes>, taken: Bytes) -> Option<usize> {
    sizes.position(|size| size >= taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MapLocation, NumaWish};

    fn region(align: u32, free: &[(u32, u32)]) -> Region {
        Region {
            id: RegionId("r".into()),
            numa: None,
            alignment: Alignment::try_from(Bytes::mib(align)).unwrap(),
            free: free
                .iter()
                .map(|(start, size)| Extent::new(Bytes::mib(*start), Bytes::mib(*size)))
                .collect(),
        }
    }

    fn request(mib: u32) -> VolumeRequest {
        VolumeRequest {
            required: Bytes::mib(mib),
            limit: None,
            mode: Mode::Fsdax(MapLocation::Dev),
            numa: NumaWish::Any,
        }
    }

    #[test]
    fn the_kernel_takes_the_lowest_hole_that_fits() {
        let mut region = region(2, &[(0, 16), (32, 128), (256, 64)]);
        assert_eq!(
            region.place(&request(14)).unwrap(),
            Extent::new(Bytes::mib(0), Bytes::mib(16))
        );
        assert_eq!(
            region.place(&request(60)).unwrap(),
            Extent::new(Bytes::mib(32), Bytes::mib(62))
        );
        assert_eq!(region.free, self::region(2, &[(94, 66), (256, 64)]).free);
    }

    #[test]
    fn holes_count_from_their_first_aligned_byte() {
        let mut region = region(16, &[(2, 46), (64, 32)]);
        assert_eq!(region.largest_usable(request(1).mode), Bytes::mib(30));
        assert_eq!(
            region.place(&request(20)).unwrap(),
            Extent::new(Bytes::mib(16), Bytes::mib(32))
        );
        assert_eq!(region.free, self::region(16, &[(2, 14), (64, 32)]).free);
    }

    #[test]
    fn a_refusal_changes_nothing_and_has_the_numbers() {
        let mut region = region(2, &[(0, 16), (32, 64)]);
        let before = region.clone();
        let refusal = region.place(&request(100)).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "asked 100 MiB; largest extent 62 MiB, 80 MiB free in 2 extents"
        );
        assert_eq!(region, before);
    }
}
