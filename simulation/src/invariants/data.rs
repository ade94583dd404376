//! What users have in their volumes.

use std::collections::{BTreeMap, BTreeSet};

use node_driver::devices::Stage;

use super::Named;
use crate::world::World;

pub(super) const ALWAYS: &[Named] = &[
    ("devices are used as their rules say", devices_are_used_rightly),
    ("pods find what they wrote", pods_find_what_they_wrote),
    ("nothing that somebody wrote is lost", nothing_is_lost),
    ("no volume is in use twice", no_volume_is_in_use_twice),
];

fn devices_are_used_rightly(world: &World) -> Vec<String> {
    let all = world.nodes.iter().map(|node| (&node.name, node.machine.violations()));
    all.flat_map(|(name, found)| found.into_iter().map(move |found| format!("{name}: {found}")))
        .collect()
}

fn pods_find_what_they_wrote(world: &World) -> Vec<String> {
    world.oracle.violations()
}

fn nothing_is_lost(world: &World) -> Vec<String> {
    let owed = world.oracle.owed();
    if owed.is_empty() {
        return Vec::new();
    }
    let mut found: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for node in &world.nodes {
        for namespace in node.machine.truth().namespaces {
            if let Some((volume, Stage::InUse)) = namespace.volume() {
                found.entry(volume.to_owned()).or_default().extend(&namespace.tokens);
            }
        }
    }
    let is_lost = |(volume, tokens): &(String, BTreeSet<u64>)| {
        found
            .get(volume)
            .is_none_or(|found| !tokens.iter().any(|token| found.contains(token)))
            && tokens.len() == 1
    };
    let lost = owed.into_iter().filter(is_lost);
    lost.map(|(volume, tokens)| format!("{volume} held {tokens:?}, and holds {:?}", found.get(&volume)))
        .collect()
}

fn no_volume_is_in_use_twice(world: &World) -> Vec<String> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in &world.nodes {
        for namespace in node.machine.truth().namespaces {
            if let Some((volume, Stage::InUse)) = namespace.volume() {
                places.entry(volume.to_owned()).or_default().push(node.name.clone());
            }
        }
    }
    let twice = places.into_iter().filter(|(_, nodes)| nodes.len() > 1);
    twice
        .map(|(volume, nodes)| format!("{volume} is on {nodes:?}"))
        .collect()
}
