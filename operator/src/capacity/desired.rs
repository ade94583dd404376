//! Which CSIStorageCapacity objects a node should have.

use cluster::ClassSettings;

use super::largest::largest_volumes;
use crate::capacity_object::Capacity;
use crate::index::Index;

/// The objects that `node` should have: one for each StorageClass and each NUMA node with a ready region.
///
/// Each promises that one CreateVolume of its usable bytes succeeds as the index is: pending volumes are subtracted, and
/// CreateVolume uses the same placement. A node without a PmemNode should have none, nor should one without a driver.
#[must_use]
pub fn desired(index: &Index, node: &str) -> Vec<Capacity> {
    let (true, Some(free), Some(owner)) = (index.has_driver(node), index.free_space(node), index.node_uid(node)) else {
        return Vec::new();
    };
    let of_class = |(class, settings): (&str, &ClassSettings)| {
        let largest = largest_volumes(&free, &settings.parameters, settings.filesystem.smallest_request());
        let capacities = largest.into_iter().map(|(numa, usable)| Capacity {
            node: node.into(),
            numa,
            class: class.into(),
            owner: owner.into(),
            usable,
        });
        capacities.collect::<Vec<_>>()
    };
    index.valid_classes().flat_map(of_class).collect()
}
