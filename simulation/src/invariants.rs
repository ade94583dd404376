//! What has to hold: at each moment, and when everything has settled. One who adds an invariant touches this file alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cluster::names::{SELECTED_NODE, VOLUME_PREFIX};
use cluster::{Claim, Class, OurClass};
use crds::{Phase, PmemNode, PmemVolume, TOPOLOGY_KEY, bytes_of_quantity};
use extender::ledger::ReservationState;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::{CSIStorageCapacity, StorageClass};
use node_driver::devices::{Inventory, Stage};
use placement::{Bytes, NumaNode, NumaWish, VolumeRequest};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api_server::{Key, Kind};
use crate::devices::Fuse;
use crate::programs::ExtenderCalls;
use crate::surroundings::claims::claims_in_use;
use crate::surroundings::{claims_of, is_deleted, node_of, text};
use crate::world::{Node, Scheduler, World};

/// Something that has to hold. It returns what does not, in sentences.
pub type Invariant = fn(&World) -> Vec<String>;

/// What has to hold at each moment.
pub const ALWAYS: [(&str, Invariant); 6] = [
    ("devices are used as their rules say", devices_are_used_rightly),
    ("pods find what they wrote", pods_find_what_they_wrote),
    ("nothing that somebody wrote is lost", nothing_is_lost),
    ("no volume is in use twice", no_volume_is_in_use_twice),
    (
        "claims that wish to be together are on one NUMA node",
        claims_are_together,
    ),
    ("the extender knows what it reserved", extenders_are_consistent),
];

/// What has to hold at each moment of a history in which nothing goes wrong but delays.
pub const IN_CALM: [(&str, Invariant); 1] = [("whatever passes the filter can be created", promises_are_kept)];

/// What has to hold when faults have ended and some time has passed.
pub const AT_THE_END: [(&str, Invariant); 10] = [
    ("every claim that can have a volume has it", claims_are_bound),
    ("every pod that can run runs", pods_run),
    ("every volume belongs to a claim", volumes_belong_to_claims),
    ("every namespace belongs to a volume", namespaces_belong_to_volumes),
    ("each node reports what it has", nodes_report),
    ("capacity is what one volume can get", capacity_is_true),
    ("nothing is reserved for nobody", nothing_is_reserved),
    ("nothing is erased or marked for it any more", nothing_is_left_to_erase),
    ("what DeleteVolume ended is gone", deleted_volumes_are_gone),
    ("no bad block is in free space", bad_blocks_are_covered),
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

fn promises_are_kept(world: &World) -> Vec<String> {
    world.promises.broken()
}

/// What it keeps of a node follows from what it was shown and what it reserved, and both sides of the ledger say the same.
fn extenders_are_consistent(world: &World) -> Vec<String> {
    let running = world
        .schedulers
        .iter()
        .filter_map(|scheduler| scheduler.extender.calls());
    running
        .flat_map(|extender| what_it_contradicts(world, &extender))
        .collect()
}

fn what_it_contradicts(world: &World, extender: &ExtenderCalls) -> Vec<String> {
    let state = extender.state.read();
    let mut wrong = Vec::new();
    for node in &world.nodes {
        let kept = state.space(&node.name).map(|space| format!("{:?}", space.free()));
        let anew = state.free_without(&node.name, &[]).map(|free| format!("{free:?}"));
        if kept != anew {
            wrong.push(format!("of {} it keeps {kept:?}, and would find {anew:?}", node.name));
        }
        for (reservation, how) in state.ledger().reservations_on(&node.name) {
            if !state.ledger().nodes_of(&reservation.uid).contains(&*node.name) {
                wrong.push(format!(
                    "{how:?} on {} for {} and not so by claim",
                    node.name, reservation.claim
                ));
            }
        }
    }
    wrong
}

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

/// The node and the NUMA node of each volume that was made.
fn numa_nodes(world: &World) -> BTreeMap<String, (String, Option<NumaNode>)> {
    let mut places = BTreeMap::new();
    for node in &world.nodes {
        let truth = node.machine.truth();
        for namespace in &truth.namespaces {
            let Some((volume, Stage::HandedOut | Stage::InUse)) = namespace.volume() else {
                continue;
            };
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

fn typed<K: DeserializeOwned>(world: &World, kind: Kind) -> Vec<K> {
    let all = world.api.list(kind);
    all.iter()
        .filter_map(|object| serde_json::from_value((**object).clone()).ok())
        .collect()
}

fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

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

/// What the devices of a node show.
fn inventory(node: &Node) -> Inventory {
    node.machine.devices(&Fuse::new()).inventory().unwrap_or_default()
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
    let holds = nodes_that_hold(world, &requests).find(is_allowed)?;
    let asked: Vec<String> = claims.iter().map(|claim| crate::users::describe_claim(claim)).collect();
    Some(format!(
        "pod {} waits although {} holds its claims {asked:?}",
        name(pod),
        holds.name
    ))
}

/// A restored cluster may know claims again that were given up, and whose volumes were erased.
fn was_erased(world: &World, claims: &[Arc<Value>]) -> bool {
    let volumes = claims.iter().map(|claim| text(claim, "/spec/volumeName"));
    let mut given_up = volumes.filter(|volume| world.oracle.restored() > 0 && world.oracle.is_given_up(volume));
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

fn volumes_belong_to_claims(world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    let volumes = world.api.list(Kind::PersistentVolume);
    for volume in &volumes {
        let is_retained = text(volume, "/spec/persistentVolumeReclaimPolicy") == "Retain";
        if text(volume, "/status/phase") != "Bound" && !is_retained {
            wrong.push(format!("volume {} is {}", name(volume), text(volume, "/status/phase")));
        }
    }
    let handles: BTreeSet<&str> = volumes
        .iter()
        .map(|volume| text(volume, "/spec/csi/volumeHandle"))
        .collect();
    // One that was deleted and is held by a pod is there as well.
    let claims = world.api.list(Kind::PersistentVolumeClaim);
    let claims: BTreeSet<&str> = claims.iter().map(|claim| text(claim, "/metadata/uid")).collect();
    for volume in typed::<PmemVolume>(world, Kind::PmemVolume) {
        let name = volume.metadata.name.clone().unwrap_or_default();
        let phase = volume.status.as_ref().and_then(|status| status.phase);
        // Its object was made anew by what a restored cluster shows, and it gets no second namespace.
        let is_gone = volume.is_kept() && phase.is_none() && !is_on_a_device(world, &name);
        if volume.metadata.deletion_timestamp.is_some() {
            wrong.push(format!("PmemVolume {name} was deleted and is there"));
        } else if !handles.contains(name.as_str())
            && !claims.contains(name.strip_prefix(VOLUME_PREFIX).unwrap_or_default())
        {
            wrong.push(format!("PmemVolume {name} ({phase:?}) belongs to nobody"));
        } else if phase != Some(Phase::Ready) && !is_gone {
            wrong.push(format!("PmemVolume {name} is {phase:?}"));
        }
    }
    for handle in handles.into_iter().filter(|handle| is_on_a_device(world, handle)) {
        if world.api.get(&Key::of(Kind::PmemVolume, handle)).is_none() {
            wrong.push(format!(
                "there is no PmemVolume {handle}, which a PersistentVolume names"
            ));
        }
    }
    wrong
}

/// Whether its data is anywhere.
fn is_on_a_device(world: &World, volume: &str) -> bool {
    let is_it = |node: &Node| {
        let truth = node.machine.truth();
        truth
            .of_volume(volume)
            .any(|(_, stage)| matches!(stage, Stage::HandedOut | Stage::InUse))
    };
    world.nodes.iter().any(is_it)
}

fn namespaces_belong_to_volumes(world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    for node in &world.nodes {
        let kept = kept_on(world, node);
        for namespace in node.machine.truth().namespaces {
            let Some((volume, stage @ (Stage::HandedOut | Stage::InUse))) = namespace.volume() else {
                continue;
            };
            let object = world.api.get(&Key::of(Kind::PmemVolume, volume));
            let place = object.as_ref().map(|object| text(object, "/spec/node"));
            if place.is_some_and(|place| place != node.name) {
                wrong.push(format!(
                    "{} has {stage} a volume {volume}, which is on {place:?}",
                    node.name
                ));
            } else if place.is_none() && !kept.contains(volume) {
                wrong.push(format!("{} has a namespace of {volume}, and nobody is told", node.name));
            }
        }
    }
    wrong
}

fn kept_on(world: &World, node: &Node) -> BTreeSet<String> {
    let report = world.api.get(&Key::of(Kind::PmemNode, &node.name));
    let report = report.and_then(|report| serde_json::from_value::<PmemNode>((*report).clone()).ok());
    let regions = report
        .and_then(|report| report.status)
        .map(|status| status.regions)
        .unwrap_or_default();
    regions
        .into_iter()
        .flat_map(|region| region.kept)
        .map(|kept| kept.name)
        .collect()
}

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

fn nothing_is_reserved(world: &World) -> Vec<String> {
    world
        .schedulers
        .iter()
        .flat_map(|scheduler| reserved(world, scheduler))
        .collect()
}

fn reserved(world: &World, scheduler: &Scheduler) -> Vec<String> {
    let Some(extender) = scheduler.extender.calls() else {
        return vec![format!("the extender of {} does not run", scheduler.name)];
    };
    let state = extender.state.read();
    let mut wrong = Vec::new();
    for node in &world.nodes {
        for (reservation, how) in state.ledger().reservations_on(&node.name) {
            if how == ReservationState::Tentative || !is_selected(world, &reservation.uid) {
                wrong.push(format!("{how:?} on {} for claim {}", node.name, reservation.claim));
            }
        }
    }
    wrong
}

fn is_selected(world: &World, uid: &str) -> bool {
    let claims = world.api.list(Kind::PersistentVolumeClaim);
    claims.iter().any(|claim| {
        text(claim, "/metadata/uid") == uid
            && claim["metadata"]["annotations"][SELECTED_NODE].is_string()
            && text(claim, "/spec/volumeName").is_empty()
    })
}

fn nothing_is_left_to_erase(world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    for node in &world.nodes {
        for namespace in node.machine.truth().namespaces {
            if let Some((volume, stage @ (Stage::Making | Stage::Erasing))) = namespace.volume() {
                wrong.push(format!("{} has a namespace of {volume} that is {stage}", node.name));
            }
        }
    }
    wrong
}

fn deleted_volumes_are_gone(world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    for node in &world.nodes {
        for namespace in node.machine.truth().namespaces {
            if let Some((volume, stage @ (Stage::HandedOut | Stage::InUse))) = namespace.volume()
                && world.oracle.is_deleted(volume)
            {
                wrong.push(format!(
                    "{} has {volume} ({stage}), for which DeleteVolume succeeded",
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

/// What does not hold of `invariants`.
#[must_use]
pub fn violated(world: &World, invariants: &[(&'static str, Invariant)]) -> Vec<(&'static str, Vec<String>)> {
    let found = invariants.iter().map(|(name, holds)| (*name, holds(world)));
    found.filter(|(_, wrong)| !wrong.is_empty()).collect()
}
