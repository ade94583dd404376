//! A region as the command line describes it.

use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use placement::{Bytes, NumaNode};

/// A region to emulate: `SIZE` or `SIZE@NUMA`, such as `512Mi@0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionFlag {
    /// A multiple of 2 MiB, at least 16 MiB.
    pub size: Bytes,
    /// The NUMA node it pretends to be on.
    pub numa: Option<NumaNode>,
}

/// The text does not describe a region.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not SIZE or SIZE@NUMA: SIZE is at least 16Mi and a multiple of 2Mi, NUMA a number, such as 512Mi@0"
)]
pub struct NotARegion(String);

impl FromStr for RegionFlag {
    type Err = NotARegion;

    fn from_str(text: &str) -> Result<Self, NotARegion> {
        let wrong = || NotARegion(text.into());
        let (size, numa) = match text.split_once('@') {
            Some((size, numa)) => (size, Some(numa)),
            None => (text, None),
        };
        let size = crds::bytes_of_quantity(&Quantity(size.into())).map_err(|_| wrong())?;
        if size < Bytes::mib(16) || !size.is_multiple_of(Bytes::mib(2)) {
            return Err(wrong());
        }
        let numa = numa.map(|numa| numa.parse().map(NumaNode).map_err(|_| wrong()));
        Ok(Self {
            size,
            numa: numa.transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_size_and_numa_node() {
        let numa = Some(NumaNode(1));
        let size = Bytes::mib(512);
        assert_eq!("512Mi@1".parse(), Ok(RegionFlag { size, numa }));
        assert_eq!("536870912".parse(), Ok(RegionFlag { size, numa: None }));
        for wrong in ["", "512Mi@", "512Mi@x", "8Mi", "17Mi", "much"] {
            assert_eq!(wrong.parse::<RegionFlag>(), Err(NotARegion(wrong.into())));
        }
    }
}
