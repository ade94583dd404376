//! One region, and what the kernel does with a request for space in it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Bytes, Extent, Mode, NumaNode, Refusal, Space, VolumeRequest};

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

/// The unit in which a region hands out space (`align` of the region in sysfs): never zero.
///
/// 4 KiB, 2 MiB or 16 MiB, times the interleave ways where these do not divide it evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Bytes", into = "Bytes")]
pub struct Alignment(Bytes);

/// The alignment is not a positive multiple of 4 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not the alignment of a region: it has to be a positive multiple of 4 KiB")]
pub struct NotAnAlignment(Bytes);

impl Alignment {
    /// The number of bytes.
    #[must_use]
    pub const fn get(self) -> Bytes {
        self.0
    }
}

impl TryFrom<Bytes> for Alignment {
    type Error = NotAnAlignment;

    fn try_from(bytes: Bytes) -> Result<Self, NotAnAlignment> {
        if bytes.is_zero() || !bytes.is_multiple_of(Bytes::kib(4)) {
            return Err(NotAnAlignment(bytes));
        }
        Ok(Self(bytes))
    }
}

impl From<Alignment> for Bytes {
    fn from(alignment: Alignment) -> Self {
        alignment.0
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Alignment {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Alignment".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "format": "int64", "minimum": 4096, "multipleOf": 4096 })
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
    /// What it says about its space to somebody whose `want` is refused.
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
        let raw = self
            .free
            .iter()
            .map(|extent| extent.aligned(self.alignment.get()).size.round_down(step));
        raw.map(|raw| mode.usable(raw)).max().unwrap_or_default()
    }

    /// The free extent that the kernel would take `footprint` bytes from: the lowest that is large enough.
    ///
    /// `scan_allocate` in `drivers/nvdimm/namespace_devs.c` walks the holes upwards; the caller never chooses the offset.
    #[must_use]
    pub fn hole_for(&self, footprint: Bytes) -> Option<usize> {
        let align = self.alignment.get();
        self.free.iter().position(|hole| hole.aligned(align).size >= footprint)
    }

    /// Takes the space for `want` as the kernel would, and says where it is.
    ///
    /// # Errors
    /// Says why there is no such space; the region is unchanged then.
    pub fn place(&mut self, request: &VolumeRequest) -> Result<Extent, Refusal> {
        let footprint = request
            .mode
            .footprint(self.alignment, request.required, request.limit)?;
        let hole = self.hole_for(footprint).ok_or_else(|| Refusal::NoSpace {
            required: request.required,
            space: vec![self.space(request.mode)],
        })?;
        let taken = Extent::new(self.free[hole].aligned(self.alignment.get()).start, footprint);
        self.take(taken);
        Ok(taken)
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
