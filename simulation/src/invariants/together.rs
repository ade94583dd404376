//! Claims that wish to be together.

use std::collections::{BTreeMap, BTreeSet};

use cluster::names::VOLUME_PREFIX;
use node_driver::devices::Stage;
use placement::NumaNode;

use super::{Named, name};
use crate::api_server::{Key, Kind};
use crate::surroundings::{claims_of, text};
use crate::world::World;

pub(super) const ALWAYS: &[Named] = &[(
    "claims that wish to be together are on one NUMA node",
    claims_are_together,
)];

/// Of each pod, as far as they have volumes.
fn claims_are_together(world: &World) -> Vec<String> {
    let wishes: BTreeMap<String, String> = world
        .api
        .list(Kind::PersistentVolumeClaim)
        .iter()
        .filter(|claim| text(claim, "/spec/storageClassName") == "together")
        .map(|claim| {
            (
                name(claim).to_owned(),
                format!("{VOLUME_PREFIX}{}", text(claim, "/metadata/uid")),
            )
        })
        .collect();
    if wishes.len() < 2 {
        return Vec::new();
    }
    let places = numa_nodes(world);
    let mut wrong = Vec::new();
    for pod in world.api.list(Kind::Pod) {
        let volumes = claims_of(&pod).filter_map(|claim| wishes.get(&claim));
        let on: BTreeSet<_> = volumes.filter_map(|volume| places.get(volume)).collect();
        if on.len() > 1 {
            wrong.push(format!("the claims of pod {} are on {on:?}", name(&pod)));
        }
    }
    wrong
}

/// The node and the NUMA node of each volume that was made. What an earlier try left unused on another node than the
/// object's, that node erases.
fn numa_nodes(world: &World) -> BTreeMap<String, (String, Option<NumaNode>)> {
    let mut places = BTreeMap::new();
    for node in &world.nodes {
        let truth = node.machine.truth();
        for namespace in &truth.namespaces {
            let Some((volume, stage @ (Stage::HandedOut | Stage::InUse))) = namespace.volume() else {
                continue;
            };
            let object = world.api.get(&Key::of(Kind::PmemVolume, volume));
            if stage == Stage::HandedOut && object.is_some_and(|object| text(&object, "/spec/node") != node.name) {
                continue;
            }
            let region = truth
                .regions
                .iter()
                .find(|region| region.id == namespace.namespace.region);
            let numa = region.and_then(|region| region.numa);
            places.insert(volume.to_owned(), (node.name.clone(), numa));
        }
    }
    places
}
