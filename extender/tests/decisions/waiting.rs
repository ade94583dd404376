//! Whom the extender has tried again, and when.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use cluster::watch::Indexes;
use cluster::{ObjectKey, Pod, ReadObjects};
use crds::PmemVolume;
use extender::decide::{NodeChoice, Room, filter_and_reserve, room_for_waiting};
use extender::state::State;
use k8s_openapi::api::core::v1::{self as core, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::CSINode;
use placement::Policy;
use serde_json::json;

use crate::testing::{claim, class, node, pod_named, volume};

/// What the extender answers to a filter call, which it remembers.
fn filtered(state: &mut State, pod: &Pod, names: &[&str], now: Instant) -> Vec<String> {
    let choice = NodeChoice {
        policy: Policy::Pack,
        candidates: 1,
    };
    let filtered = filter_and_reserve(state, &ReadObjects::default(), pod, names, choice, now).unwrap();
    let passed: Vec<String> = filtered.passed.iter().map(|node| (*node).into()).collect();
    state.answered(pod, names, !passed.is_empty(), now);
    passed
}

fn room(state: &mut State) -> Option<(String, String)> {
    let gained = state.take_gained();
    match room_for_waiting(state, None, &gained) {
        Room::For(pod, node) => Some((pod.name.to_string(), node.to_string())),
        Room::NotUpTo(_) | Room::ForNobody => None,
    }
}

/// A node with holes of 64 and 32 MiB, and claims of a class of ours.
fn state(claims: &[(&str, &str)]) -> State {
    let mut state = State::default();
    state.apply(&class("fast", &[]));
    state.apply(&node("n", 1, &[&[(0, 64), (128, 32)]]));
    for (name, request) in claims {
        state.apply(&claim("ns", name, "fast", request));
    }
    state
}

#[test]
fn a_hole_that_is_not_the_largest_is_room() {
    let mut state = state(&[("a", "60Mi"), ("b", "60Mi")]);
    let pod = pod_named("p", &["a", "b"]);
    assert_eq!(filtered(&mut state, &pod, &["n"], Instant::now()), [""; 0]);
    assert_eq!(room(&mut state), None);
    // Larger, and not large enough.
    state.apply(&node("n", 2, &[&[(0, 64), (128, 48)]]));
    assert_eq!(room(&mut state), None);
    state.apply(&node("n", 3, &[&[(0, 64), (128, 64)]]));
    assert_eq!(room(&mut state), Some(("p".into(), "n".into())));
}

#[test]
fn a_reservation_that_ends_is_room() {
    let mut state = state(&[("a", "60Mi"), ("b", "60Mi")]);
    let began = Instant::now();
    assert_eq!(filtered(&mut state, &pod_named("first", &["a"]), &["n"], began), ["n"]);
    assert_eq!(
        filtered(&mut state, &pod_named("second", &["b"]), &["n"], began),
        [""; 0]
    );
    state.expire(began);
    assert_eq!(room(&mut state), None);
    state.expire(began + Duration::from_secs(120));
    assert_eq!(room(&mut state), Some(("second".into(), "n".into())));
}

#[test]
fn a_claim_that_is_deleted_gives_room() {
    let mut state = state(&[("a", "60Mi"), ("b", "60Mi")]);
    let now = Instant::now();
    assert_eq!(filtered(&mut state, &pod_named("first", &["a"]), &["n"], now), ["n"]);
    assert_eq!(filtered(&mut state, &pod_named("second", &["b"]), &["n"], now), [""; 0]);
    Indexes::<PersistentVolumeClaim>::delete(&mut state, &ObjectKey::new("ns", "a"));
    assert_eq!(room(&mut state), Some(("second".into(), "n".into())));
}

#[test]
fn a_volume_that_was_never_made_gives_room() {
    let mut state = state(&[("a", "60Mi")]);
    state.apply(&volume("v", "n", 60));
    assert_eq!(
        filtered(&mut state, &pod_named("p", &["a"]), &["n"], Instant::now()),
        [""; 0]
    );
    Indexes::<PmemVolume>::delete(&mut state, &ObjectKey::new("", "v"));
    assert_eq!(room(&mut state), Some(("p".into(), "n".into())));
}

/// As the cluster shows a pod that kube-scheduler found no node for.
fn refused_pod(name: &str, claim: &str) -> core::Pod {
    let refused = json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable" });
    let volume = json!({ "name": "v", "persistentVolumeClaim": { "claimName": claim } });
    let pod = json!({
        "metadata": { "namespace": "ns", "name": name, "uid": format!("uid-of-{name}") },
        "spec": { "containers": [], "volumes": [volume] },
        "status": { "phase": "Pending", "conditions": [refused] },
    });
    serde_json::from_value(pod).unwrap()
}

#[test]
fn a_node_that_comes_is_room_for_those_found_at_the_start() {
    let mut state = state(&[("a", "100Mi")]);
    state.apply(&refused_pod("p", "a"));
    state.take_in_waiting(Instant::now());
    assert_eq!(room(&mut state), None);
    state.apply(&node("m", 1, &[&[(0, 128)]]));
    assert_eq!(room(&mut state), Some(("p".into(), "m".into())));
}

#[test]
fn nothing_is_looked_for_while_nobody_waits() {
    let mut state = state(&[("a", "60Mi")]);
    state.apply(&node("n", 2, &[&[(0, 64), (128, 64)]]));
    assert_eq!(state.take_gained(), BTreeSet::new());
    assert_eq!(
        filtered(&mut state, &pod_named("p", &["a"]), &["n"], Instant::now()),
        ["n"]
    );
    state.apply(&node("n", 3, &[&[(0, 64), (128, 128)]]));
    assert_eq!(state.take_gained(), BTreeSet::new());
}

#[test]
fn of_many_pods_some_are_looked_at_with_one_call() {
    let names: Vec<String> = (0..150).map(|number| format!("p{number:03}")).collect();
    let claims: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "100Mi")).collect();
    let mut state = state(&claims);
    for name in &names {
        filtered(&mut state, &pod_named(name, &[name]), &["n"], Instant::now());
    }
    state.apply(&node("n", 2, &[&[(0, 64), (128, 64)]]));
    let gained = state.take_gained();
    let Room::NotUpTo(after) = room_for_waiting(&state, None, &gained) else {
        panic!("all are looked at");
    };
    assert_eq!(room_for_waiting(&state, Some(&after), &gained), Room::ForNobody);
}

#[test]
fn a_driver_that_comes_back_is_room() {
    let mut state = state(&[("a", "60Mi")]);
    let csi_node = |drivers: &serde_json::Value| -> CSINode {
        serde_json::from_value(serde_json::json!({ "metadata": { "name": "n" }, "spec": { "drivers": drivers } }))
            .unwrap()
    };
    state.apply(&csi_node(&serde_json::json!([])));
    let (pod, now) = (pod_named("p", &["a"]), Instant::now());
    assert_eq!(filtered(&mut state, &pod, &["n"], now), [""; 0]);
    // What it reports meanwhile is of no use.
    state.apply(&node("n", 2, &[&[(0, 128)]]));
    assert_eq!(room(&mut state), None);
    let ours = serde_json::json!([{ "name": crds::DRIVER_NAME, "nodeID": "n", "topologyKeys": [crds::TOPOLOGY_KEY] }]);
    state.apply(&csi_node(&ours));
    assert_eq!(room(&mut state), Some(("p".into(), "n".into())));
    assert_eq!(filtered(&mut state, &pod, &["n"], now), ["n"]);
}
