//! Volumes, their namespaces and their ends.

use std::collections::BTreeSet;

use cluster::names::VOLUME_PREFIX;
use crds::{Phase, PmemNode, PmemVolume};
use node_driver::devices::Stage;

use super::{Named, name, typed};
use crate::api_server::{Key, Kind};
use crate::surroundings::text;
use crate::world::{Node, World};

pub(super) const AT_THE_END: &[Named] = &[
    ("every volume belongs to a claim", volumes_belong_to_claims),
    ("every namespace belongs to a volume", namespaces_belong_to_volumes),
    ("nothing is erased or marked for it any more", nothing_is_left_to_erase),
    ("what DeleteVolume ended is gone", deleted_volumes_are_gone),
];

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
            // Only those who look after the cluster can tell which one is meant.
            if world.forgotten.has(&node.name, volume) && kept.contains(volume) {
                continue;
            }
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
