//! The largest volume that one CreateVolume gets on a node.

use std::collections::{BTreeMap, BTreeSet};

use crds::ClassParameters;
use placement::{Bytes, Node, NumaNode};

/// The usable bytes of the largest volume on each NUMA node of a node with this much `free` space, for the NUMA nodes that
/// `parameters` allow. Zero where even the largest has fewer than `minimum` bytes, which its file system needs.
#[must_use]
pub fn largest_volumes(free: &Node, parameters: &ClassParameters, minimum: Bytes) -> BTreeMap<Option<NumaNode>, Bytes> {
    let mode = parameters.mode.with_map(parameters.map);
    let numas: BTreeSet<Option<NumaNode>> = free.regions.iter().map(|region| region.numa).collect();
    let largest = |numa: Option<NumaNode>| {
        let largest = free.largest_usable(mode, numa);
        (numa, if largest < minimum { Bytes::ZERO } else { largest })
    };
    let allowed = numas.into_iter().filter(|numa| parameters.numa.allows(*numa));
    allowed.map(largest).collect()
}
