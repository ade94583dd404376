//! Which CSIStorageCapacity objects a node should have.

use std::collections::BTreeSet;

use placement::NumaNode;

use crate::capacity_object::Capacity;
use crate::index::{Asks, Index};

/// The objects that `node` should have: one for each StorageClass and each NUMA node with a ready region.
///
/// Each promises that one CreateVolume of its usable bytes succeeds as the index is: pending volumes are subtracted, and
/// CreateVolume uses the same placement. A node without a PmemNode should have none.
#[must_use]
pub fn desired(index: &Index, node: &str) -> Vec<Capacity> {
    let (Some(free), Some(owner)) = (index.free_space(node), index.node_uid(node)) else {
        return Vec::new();
    };
    let numas: BTreeSet<Option<NumaNode>> = free.regions.iter().map(|region| region.numa).collect();
    let of_class = |(class, asks): (&str, &Asks)| {
        let capacity = |numa: &Option<NumaNode>| Capacity {
            node: node.into(),
            numa: *numa,
            class: class.into(),
            owner: owner.into(),
            usable: asks.largest(&free, *numa),
        };
        let allowed = numas.iter().filter(|numa| asks.requests(**numa));
        allowed.map(capacity).collect::<Vec<_>>()
    };
    index.valid_classes().flat_map(of_class).collect()
}
