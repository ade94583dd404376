//! What nodes and capacity objects say.

use std::collections::BTreeMap;

use cluster::Class;
use crds::{PmemNode, TOPOLOGY_KEY, bytes_of_quantity};
use k8s_openapi::api::storage::v1::{CSIStorageCapacity, StorageClass};
use placement::Bytes;

use super::{Named, inventory, typed};
use crate::api_server::Kind;
use crate::world::World;

pub(super) const AT_THE_END: &[Named] = &[
    ("each node reports what it has", nodes_report),
    ("capacity is what one volume can get", capacity_is_true),
    ("no bad block is in free space", bad_blocks_are_covered),
];

fn nodes_report(world: &World) -> Vec<String> {
    let reports = typed::<PmemNode>(world, Kind::PmemNode);
    let mut wrong = Vec::new();
    for node in &world.nodes {
        let report = reports
            .iter()
            .find(|report| report.metadata.name.as_deref() == Some(&node.name));
        let shown = report.and_then(|report| report.status.as_ref());
        let inventory = inventory(node);
        for region in &inventory.regions {
            let free = inventory.free(region);
            let said = shown.and_then(|status| status.regions.iter().find(|said| said.id == region.id));
            if said.is_none_or(|said| said.free != free) {
                let said = said.map(|said| &said.free);
                wrong.push(format!(
                    "{} reports {said:?} of region {}, and has {free:?}",
                    node.name, region.id
                ));
            }
        }
    }
    wrong
}

fn capacity_is_true(world: &World) -> Vec<String> {
    let mut said: BTreeMap<(String, String), Bytes> = BTreeMap::new();
    for object in typed::<CSIStorageCapacity>(world, Kind::CSIStorageCapacity) {
        let labels = object
            .node_topology
            .and_then(|topology| topology.match_labels)
            .unwrap_or_default();
        let node = labels.get(TOPOLOGY_KEY).cloned().unwrap_or_default();
        let size = object
            .maximum_volume_size
            .and_then(|size| bytes_of_quantity(&size).ok())
            .unwrap_or_default();
        let largest = said.entry((node, object.storage_class_name)).or_default();
        *largest = (*largest).max(size);
    }
    let mut wrong = Vec::new();
    for node in &world.nodes {
        let free = inventory(node).to_placement();
        for class in typed::<StorageClass>(world, Kind::StorageClass) {
            let class_name = class.metadata.name.clone().unwrap_or_default();
            let class = Class::from(&class);
            let Some(settings) = class.ours().and_then(|ours| ours.settings.clone().ok()) else {
                continue;
            };
            let mode = settings.parameters.mode.with_map(settings.parameters.map);
            let numas = free
                .regions
                .iter()
                .map(|region| region.numa)
                .filter(|numa| settings.parameters.numa.allows(*numa));
            let largest = numas
                .map(|numa| free.largest_usable(mode, numa))
                .max()
                .unwrap_or_default();
            let smallest = settings.filesystem.smallest_request();
            let largest = if largest < smallest { Bytes::ZERO } else { largest };
            let published = said
                .get(&(node.name.clone(), class_name.clone()))
                .copied()
                .unwrap_or_default();
            if published != largest {
                wrong.push(format!(
                    "{} offers {published} of class {class_name}, and has {largest}",
                    node.name
                ));
            }
        }
    }
    wrong
}

fn bad_blocks_are_covered(world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    for node in &world.nodes {
        for region in inventory(node).to_cover() {
            wrong.push(format!("{} has bad blocks in free space of region {region}", node.name));
        }
    }
    wrong
}
