//! Which CSIStorageCapacity objects a node should have.

use std::collections::BTreeSet;

use placement::NumaNode;

use super::Capacity;
use crate::index::{Asks, Index};

/// What the objects of `node` should say: one for each StorageClass and each NUMA node that has a ready region.
///
/// Guarantee: one CreateVolume of `usable` bytes is possible in the index as it is, because pending volumes are
/// subtracted and the same placement is asked. A node that is gone should have none.
#[must_use]
pub fn desired(index: &Index, node: &str) -> Vec<Capacity> {
    let (Some(view), Some(owner)) = (index.free_space(node), index.node_uid(node)) else {
        return Vec::new();
    };
    let numas: BTreeSet<Option<NumaNode>> = view.regions.iter().map(|region| region.numa).collect();
    let of_class = |(class, asks): (&str, &Asks)| {
        let capacity = |numa: &Option<NumaNode>| Capacity {
            node: node.into(),
            numa: *numa,
            class: class.into(),
            owner: owner.into(),
            usable: asks.largest(&view, *numa),
        };
        let wanted = numas.iter().filter(|numa| asks.requests(**numa));
        wanted.map(capacity).collect::<Vec<_>>()
    };
    index.valid_classes().flat_map(of_class).collect()
}
