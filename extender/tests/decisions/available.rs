//! Pods whose claims kube-scheduler binds to volumes that exist.

use std::time::{Duration, Instant};

use cluster::watch::Indexes;
use cluster::{ObjectKey, Pod, ReadObjects};
use extender::decide::{
    Filtered, NodeChoice, PreparedRequirements, Room, filter_and_reserve, prioritize, room_for_waiting,
};
use extender::ledger::DEFAULT_TIME_LIMIT;
use extender::state::State;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::CSINode;
use placement::Policy;

use crate::testing::{available, claim, class, node, pod_named, selected};

const NODES: [&str; 3] = ["full", "also-full", "empty"];

/// Two nodes without any space, and one with 128 MiB.
fn cluster() -> State {
    let mut state = State::default();
    for full in &NODES[..2] {
        state.apply(&node(full, 1, &[&[]]));
    }
    state.apply(&node("empty", 1, &[&[(0, 128)]]));
    state.apply(&class("fast", &[]));
    for name in ["a", "b", "c"] {
        state.apply(&claim("ns", name, "fast", "40Mi"));
    }
    state
}

fn ask<'a>(state: &mut State, pod: &Pod, now: Instant) -> Filtered<'a> {
    let choice = NodeChoice {
        policy: Policy::Pack,
        candidates: 8,
    };
    let filtered = filter_and_reserve(state, &ReadObjects::default(), pod, &NODES, choice, now).unwrap();
    state.answered(pod, &NODES, !filtered.passed.is_empty(), now);
    filtered
}

fn passed<'a>(state: &mut State, pod: &str, claims: &[&str]) -> Vec<&'a str> {
    ask(state, &pod_named(pod, claims), Instant::now()).passed
}

fn reserved(state: &State) -> Vec<String> {
    let on = |name: &&str| -> Vec<String> {
        let reserved = state.ledger().reservations_on(name);
        reserved
            .map(|(reservation, _)| format!("{name}: {}", reservation.claim.name))
            .collect()
    };
    NODES.iter().flat_map(on).collect()
}

fn bound(mut claim: PersistentVolumeClaim, volume: &str) -> PersistentVolumeClaim {
    claim.spec.as_mut().unwrap().volume_name = Some(volume.into());
    claim
}

/// As kube-scheduler writes it first.
fn kept_for(mut volume: PersistentVolume, claim: &str) -> PersistentVolume {
    volume.spec.as_mut().unwrap().claim_ref = Some(k8s_openapi::api::core::v1::ObjectReference {
        namespace: Some("ns".into()),
        name: Some(claim.into()),
        uid: Some(format!("uid-of-{claim}")),
        ..Default::default()
    });
    volume
}

fn in_phase(mut volume: PersistentVolume, phase: &str) -> PersistentVolume {
    volume.status.as_mut().unwrap().phase = Some(phase.into());
    volume
}

#[test]
fn a_full_node_will_do_where_a_volume_that_exists_does() {
    let mut state = cluster();
    let volume = available("pv", "fast", "50Mi", "full");
    state.apply(&volume);
    assert_eq!(passed(&mut state, "p", &["a"]), ["full"]);
    assert_eq!(reserved(&state), [""; 0]);
    // It is about to be bound, so the next pod needs space.
    assert_eq!(passed(&mut state, "q", &["b"]), ["empty"]);
    assert_eq!(reserved(&state), ["empty: b"]);

    state.apply(&kept_for(volume.clone(), "a"));
    assert_eq!(passed(&mut state, "r", &["c"]), ["empty"]);
    state.apply(&in_phase(kept_for(volume, "a"), "Bound"));
    state.apply(&bound(claim("ns", "a", "fast", "40Mi"), "pv"));
    assert_eq!(reserved(&state), ["empty: b", "empty: c"]);
}

/// The watch of volumes is behind that of claims, twice.
#[test]
fn a_volume_that_a_claim_shows_is_not_available() {
    let mut state = cluster();
    state.apply(&available("pv", "fast", "50Mi", "full"));
    assert_eq!(passed(&mut state, "p", &["a"]), ["full"]);
    state.apply(&bound(claim("ns", "a", "fast", "40Mi"), "pv"));
    assert_eq!(passed(&mut state, "q", &["b"]), ["empty"]);
    state.apply(&claim("ns", "c", "fast", "200Mi"));
    state.apply(&available("pv", "fast", "200Mi", "full"));
    assert_eq!(passed(&mut state, "r", &["c"]), [""; 0]);
    Indexes::<PersistentVolumeClaim>::delete(&mut state, &ObjectKey::new("ns", "a"));
    assert!(state.take_gained().contains("full"));
    assert_eq!(passed(&mut state, "r", &["c"]), ["full"]);
}

#[test]
fn only_the_other_claims_need_space() {
    let mut state = cluster();
    state.apply(&available("pv", "fast", "50Mi", "empty"));
    for (name, size) in [("a", "100Mi"), ("b", "100Mi")] {
        state.apply(&claim("ns", name, "fast", size));
    }
    // Too small.
    assert_eq!(passed(&mut state, "p", &["a", "b"]), [""; 0]);
    state.apply(&available("pv", "fast", "100Mi", "empty"));
    assert_eq!(passed(&mut state, "p", &["a", "b"]), ["empty"]);
    assert_eq!(reserved(&state), ["empty: b"]);
    let mut requirements =
        PreparedRequirements::of(&pod_named("p", &["a", "b"]), &state, &ReadObjects::default()).unwrap();
    assert_eq!(
        prioritize(&state, Policy::Pack, &mut requirements, &["empty"]),
        [("empty", 10)]
    );
}

#[test]
fn where_most_claims_are_served_the_others_have_to_fit() {
    let mut state = cluster();
    state.apply(&available("pv-1", "fast", "50Mi", "full"));
    state.apply(&available("pv-2", "fast", "50Mi", "full"));
    assert_eq!(passed(&mut state, "p", &["a", "b", "c"]), ["empty"]);
    assert_eq!(reserved(&state), ["empty: a", "empty: b", "empty: c"]);
    // With fewer claims: all are served on one node, and one on another.
    let mut state = cluster();
    state.apply(&available("pv-1", "fast", "50Mi", "full"));
    state.apply(&available("pv-2", "fast", "50Mi", "full"));
    state.apply(&available("pv-3", "fast", "50Mi", "also-full"));
    state.apply(&available("pv-4", "fast", "50Mi", "empty"));
    assert_eq!(passed(&mut state, "q", &["a", "b"]), ["full"]);
}

/// A decision for space is made anew, and nothing of it stays.
#[test]
fn a_pod_that_comes_back_is_offered_another_node() {
    let mut state = cluster();
    assert_eq!(passed(&mut state, "p", &["a"]), ["empty"]);
    state.apply(&available("pv-1", "fast", "50Mi", "full"));
    state.apply(&available("pv-2", "fast", "50Mi", "also-full"));
    let second = passed(&mut state, "p", &["a"]);
    assert_eq!(second, ["full"]);
    assert_eq!(reserved(&state), [""; 0]);
    assert_eq!(passed(&mut state, "p", &["a"]), ["also-full"]);
    assert_eq!(passed(&mut state, "p", &["a"]), ["full"]);
    // What was promised before is free again.
    assert_eq!(passed(&mut state, "q", &["b"]), ["also-full"]);
}

/// There, the pod would wait for ever.
#[test]
fn a_volume_on_a_node_without_a_driver_serves_nobody() {
    let mut state = cluster();
    state.apply(&available("pv", "fast", "50Mi", "full"));
    let without_driver = serde_json::json!({ "metadata": { "name": "full" }, "spec": { "drivers": [] } });
    state.apply(&serde_json::from_value::<CSINode>(without_driver).unwrap());
    assert_eq!(passed(&mut state, "p", &["a"]), ["empty"]);
    Indexes::<CSINode>::delete(&mut state, &ObjectKey::new("", "full"));
    assert_eq!(passed(&mut state, "q", &["b"]), ["full"]);
}

#[test]
fn a_claim_that_no_volume_can_be_made_for_is_served() {
    let mut state = cluster();
    let mut shared = claim("ns", "a", "fast", "40Mi");
    shared.spec.as_mut().unwrap().access_modes = Some(vec!["ReadWriteMany".into()]);
    state.apply(&shared);
    let mut volume = available("pv", "fast", "50Mi", "full");
    state.apply(&volume);
    let refused = ask(&mut state, &pod_named("p", &["a"]), Instant::now());
    assert_eq!((refused.passed.len(), refused.unresolvable.len()), (0, 3));
    assert!(
        refused.unresolvable[0]
            .1
            .to_string()
            .contains("access mode ReadWriteMany")
    );
    volume.spec.as_mut().unwrap().access_modes = Some(vec!["ReadWriteMany".into()]);
    state.apply(&volume);
    assert_eq!(passed(&mut state, "p", &["a"]), ["full"]);
}

/// The pod names the node, and nothing else is known: after a restart.
#[test]
fn a_pod_that_names_the_node_keeps_the_volume_and_no_space() {
    let mut state = cluster();
    let named: k8s_openapi::api::core::v1::Pod = serde_json::from_value(serde_json::json!({
        "metadata": { "namespace": "ns", "name": "p", "uid": "uid-of-p", "resourceVersion": "7" },
        "status": { "nominatedNodeName": "empty" },
        "spec": { "containers": [], "volumes": [
            { "name": "a", "persistentVolumeClaim": { "claimName": "a" } },
            { "name": "b", "persistentVolumeClaim": { "claimName": "b" } },
        ] },
    }))
    .unwrap();
    state.apply(&named);
    assert_eq!(reserved(&state), ["empty: a", "empty: b"]);
    state.apply(&available("pv", "fast", "50Mi", "empty"));
    Indexes::<PersistentVolume>::reset(&mut state, &[ObjectKey::new("", "pv")].into());
    assert_eq!(reserved(&state), ["empty: b"]);
    assert_eq!(passed(&mut state, "q", &["c"]), ["empty"]);
    assert_eq!(reserved(&state), ["empty: b", "empty: c"]);
}

/// kube-scheduler may ask before the watch shows what it saw, and it does not show that it gave a pod up.
#[test]
fn whoever_waits_is_woken_for_a_volume() {
    let mut state = cluster();
    state.apply(&claim("ns", "a", "fast", "200Mi"));
    state.apply(&claim("ns", "b", "fast", "200Mi"));
    let room = |state: &mut State| {
        let gained = state.take_gained();
        match room_for_waiting(state, None, &gained) {
            Room::For(pod, node) => Some(format!("{} on {node}", pod.name)),
            Room::NotUpTo(_) | Room::ForNobody => None,
        }
    };
    let began = Instant::now();
    assert_eq!(ask(&mut state, &pod_named("p", &["a"]), began).passed, [""; 0]);
    assert_eq!(room(&mut state), None);
    state.apply(&available("pv", "fast", "200Mi", "full"));
    assert_eq!(room(&mut state), Some("p on full".into()));
    assert_eq!(ask(&mut state, &pod_named("p", &["a"]), began).passed, ["full"]);
    assert_eq!(ask(&mut state, &pod_named("q", &["b"]), began).passed, [""; 0]);
    assert_eq!(room(&mut state), None);
    state.expire(began);
    state.expire(began + DEFAULT_TIME_LIMIT + Duration::from_secs(1));
    assert_eq!(room(&mut state), Some("q on full".into()));
}

/// It was reserved when nobody knew of the volume, which kube-scheduler took all the same.
#[test]
fn space_that_was_reserved_in_vain_is_free_at_once() {
    let mut state = cluster();
    assert_eq!(passed(&mut state, "p", &["a"]), ["empty"]);
    assert_eq!(reserved(&state), ["empty: a"]);
    state.apply(&in_phase(
        kept_for(available("pv", "fast", "50Mi", "empty"), "a"),
        "Bound",
    ));
    state.apply(&bound(claim("ns", "a", "fast", "40Mi"), "pv"));
    assert_eq!(reserved(&state), [""; 0]);
    // Of a claim that shows a node, a volume of its own is made.
    state.apply(&available("other", "fast", "50Mi", "full"));
    state.apply(&selected(claim("ns", "b", "fast", "40Mi"), "empty"));
    assert_eq!(reserved(&state), ["empty: b"]);
    assert_eq!(passed(&mut state, "q", &["b"]), ["empty"]);
}
