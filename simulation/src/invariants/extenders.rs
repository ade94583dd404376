//! What extenders know, promise and reserve.

use cluster::names::SELECTED_NODE;
use extender::ledger::ReservationState;

use super::Named;
use crate::api_server::Kind;
use crate::programs::ExtenderCalls;
use crate::surroundings::{claims_of, text};
use crate::world::{Scheduler, World};

pub(super) const ALWAYS: &[Named] = &[("the extender knows what it reserved", extenders_are_consistent)];

pub(super) const IN_CALM: &[Named] = &[
    ("whatever passes the filter can be created", promises_are_kept),
    (WOKEN, the_waiting_are_woken),
];

pub(super) const AT_THE_END: &[Named] = &[
    ("nothing is reserved for nobody", nothing_is_reserved),
    (WOKEN, the_waiting_are_woken),
];

const WOKEN: &str = "whoever waits is woken once there is room";

fn the_waiting_are_woken(world: &World) -> Vec<String> {
    world.promises.not_woken()
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
            let is_for_somebody = match how {
                ReservationState::Tentative => false,
                ReservationState::Nominated => is_named(world, &node.name, &reservation.claim.name),
                ReservationState::Assigned => is_selected(world, &reservation.uid),
            };
            if !is_for_somebody {
                wrong.push(format!("{how:?} on {} for claim {}", node.name, reservation.claim));
            }
        }
    }
    wrong
}

/// Whether a pod that waits names the node, and has the claim.
fn is_named(world: &World, node: &str, claim: &str) -> bool {
    let pods = world.api.list(Kind::Pod);
    pods.iter().any(|pod| {
        text(pod, "/spec/nodeName").is_empty()
            && text(pod, "/status/nominatedNodeName") == node
            && claims_of(pod).any(|of| of == *claim)
    })
}

fn is_selected(world: &World, uid: &str) -> bool {
    let claims = world.api.list(Kind::PersistentVolumeClaim);
    claims.iter().any(|claim| {
        text(claim, "/metadata/uid") == uid
            && claim["metadata"]["annotations"][SELECTED_NODE].is_string()
            && text(claim, "/spec/volumeName").is_empty()
    })
}
