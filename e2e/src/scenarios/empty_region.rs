//! What the machines have before there is a volume.

use anyhow::Result;
use placement::{Alignment, Bytes, Extent, Region, RegionId};

/// A region of the PMEM node, with nothing in it.
pub(super) fn empty_region() -> Result<Region> {
    Ok(Region {
        id: RegionId("empty".into()),
        numa: None,
        alignment: Alignment::try_from(Bytes::mib(2))?,
        free: vec![Extent::new(Bytes::ZERO, Bytes::mib(512))],
    })
}
