//! Pods and claims get what they can have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cluster::{Claim, Class, OurClass};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use placement::{NumaWish, VolumeRequest};
use serde_json::Value;

use super::{Named, inventory, name};
use crate::api_server::{Key, Kind};
use crate::surroundings::available::volumes_for;
use crate::surroundings::claims::claims_in_use;
use crate::surroundings::{claims_of, is_deleted, node_of, text};
use crate::world::{Node, World};

pub(super) const AT_THE_END: &[Named] = &[
    ("every claim that can have a volume has it", claims_are_bound),
    ("every pod that can run runs", pods_run),
];

fn claims_are_bound(world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    let used = claims_in_use(&world.api);
    for claim in world.api.list(Kind::PersistentVolumeClaim) {
        let volume = text(&claim, "/spec/volumeName");
        if is_deleted(&claim) && !used.contains(name(&claim)) {
            wrong.push(format!("claim {} was deleted and is there", name(&claim)));
        } else if volume.is_empty() && text(&claim, "/spec/storageClassName") == "immediate" && !is_deleted(&claim) {
            let request = request_of(world, &claim);
            if request.is_some_and(|request| nodes_that_hold(world, &[request]).next().is_some()) {
                wrong.push(format!("claim {} has no volume although it fits", name(&claim)));
            }
        }
    }
    wrong
}

fn request_of(world: &World, claim: &Value) -> Option<VolumeRequest> {
    let typed: PersistentVolumeClaim = serde_json::from_value(claim.clone()).ok()?;
    let class = world
        .api
        .get(&Key::of(Kind::StorageClass, text(claim, "/spec/storageClassName")))?;
    let class: StorageClass = serde_json::from_value((*class).clone()).ok()?;
    let class = Class::from(&class);
    let ours: &OurClass = class.ours()?;
    Claim::from(&typed).request(ours).ok()
}

/// The nodes that hold all of these volumes now.
fn nodes_that_hold<'a>(world: &'a World, requests: &'a [VolumeRequest]) -> impl Iterator<Item = &'a Node> {
    world
        .nodes
        .iter()
        .filter(move |node| is_schedulable(world, node) && inventory(node).to_placement().fits(requests).is_ok())
}

fn is_schedulable(world: &World, node: &Node) -> bool {
    let object = world.api.get(&Key::of(Kind::Node, &node.name));
    object.is_some_and(|object| object["spec"]["unschedulable"] != true)
}

fn pods_run(world: &World) -> Vec<String> {
    let pods = world.api.list(Kind::Pod).into_iter();
    pods.filter_map(|pod| why_it_should_run(world, &pod)).collect()
}

/// None if it runs, or cannot.
fn why_it_should_run(world: &World, pod: &Value) -> Option<String> {
    if is_deleted(pod) {
        return Some(format!("pod {} was deleted and is there", name(pod)));
    }
    let claims: Option<Vec<Arc<Value>>> = claims_of(pod)
        .map(|claim| {
            world
                .api
                .get(&Key::in_namespace(Kind::PersistentVolumeClaim, "default", &claim))
        })
        .collect();
    let claims = claims.filter(|claims| !claims.iter().any(|claim| is_deleted(claim)))?;
    if !text(pod, "/spec/nodeName").is_empty() {
        // No file system is made, checked or mounted on bytes that cannot be read.
        let is_lost = is_bad(world, &claims)
            || was_erased(world, &claims)
            || claims.iter().any(|claim| {
                world
                    .api
                    .get(&Key::of(Kind::PersistentVolume, text(claim, "/spec/volumeName")))
                    .is_none()
            });
        let runs = text(pod, "/status/phase") == "Running" || is_lost;
        return (!runs).then(|| {
            format!(
                "pod {} has node {} and does not run",
                name(pod),
                text(pod, "/spec/nodeName")
            )
        });
    }
    let mut places = BTreeSet::new();
    let mut requests = Vec::new();
    for claim in &claims {
        let volume = text(claim, "/spec/volumeName");
        if volume.is_empty() {
            requests.push(request_of(world, claim)?);
        } else {
            let volume = world.api.get(&Key::of(Kind::PersistentVolume, volume))?;
            places.insert(node_of(&volume).to_owned());
        }
    }
    if !places.is_empty()
        && requests
            .iter()
            .any(|request| matches!(request.numa, NumaWish::Together))
    {
        // Which NUMA nodes are left depends on the volumes that are there.
        return None;
    }
    let is_allowed = |node: &&Node| places.is_empty() || places.len() == 1 && places.contains(&node.name);
    let holds = nodes_that_hold(world, &requests).find(is_allowed);
    let holds = holds.or_else(|| serving_nodes(world, &claims).find(is_allowed))?;
    let asked: Vec<String> = claims.iter().map(|claim| crate::users::describe_claim(claim)).collect();
    Some(format!(
        "pod {} waits although {} holds its claims {asked:?}",
        name(pod),
        holds.name
    ))
}

/// The nodes with volumes that exist for some of the claims, and room for the others.
fn serving_nodes<'a>(world: &'a World, claims: &'a [Arc<Value>]) -> impl Iterator<Item = &'a Node> {
    world.nodes.iter().filter(move |node| {
        let served = volumes_for(&world.api, claims, &node.name, &BTreeMap::new());
        let mut others = claims.iter().filter(|claim| text(claim, "/spec/volumeName").is_empty());
        let others = others
            .by_ref()
            .filter(|claim| !served.contains_key(text(claim, "/metadata/uid")));
        let requests: Option<Vec<VolumeRequest>> = others.map(|claim| request_of(world, claim)).collect();
        let fits = |requests: Vec<VolumeRequest>| inventory(node).to_placement().fits(&requests).is_ok();
        !served.is_empty() && is_schedulable(world, node) && requests.is_some_and(fits)
    })
}

/// A restored cluster may know claims again that were given up, and whose volumes were erased.
fn was_erased(world: &World, claims: &[Arc<Value>]) -> bool {
    let volumes = claims.iter().map(|claim| text(claim, "/spec/volumeName"));
    let mut given_up = volumes.filter(|volume| world.oracle.restored() > 0 && world.oracle.may_be_gone(volume));
    given_up.any(|volume| {
        let mut machines = world.nodes.iter().map(|node| node.machine.truth());
        machines.all(|truth| truth.of_volume(volume).next().is_none())
    })
}

fn is_bad(world: &World, claims: &[Arc<Value>]) -> bool {
    let volumes: BTreeSet<String> = claims
        .iter()
        .map(|claim| text(claim, "/spec/volumeName").to_owned())
        .collect();
    world.nodes.iter().any(|node| {
        let truth = node.machine.truth();
        truth.namespaces.iter().any(|namespace| {
            let is_its = namespace.volume().is_some_and(|(volume, _)| volumes.contains(volume));
            let region = truth
                .regions
                .iter()
                .find(|region| region.id == namespace.namespace.region);
            is_its && region.is_some_and(|region| region.bad.iter().any(|bad| bad.overlaps(namespace.namespace.extent)))
        })
    })
}
