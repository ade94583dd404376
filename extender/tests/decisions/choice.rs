//! How many nodes pass for a pod, and what kube-scheduler's choice ends.

use std::time::{Duration, Instant};

use cluster::watch::Indexes;
use cluster::{Claim, ObjectKey, Pod, ReadObjects};
use extender::decide::{NodeChoice, filter_and_reserve};
use extender::ledger::{HEARD_WITHIN, NEGLECTED_AFTER};
use extender::state::State;
use k8s_openapi::api::core::v1 as core;
use placement::Policy;
use serde_json::json;

use crate::testing::{claim, class, node, selected};

const NODES: [&str; 3] = ["one", "three", "two"];

/// Three nodes alike.
fn cluster() -> State {
    let mut state = State::default();
    for name in NODES {
        state.apply(&node(name, 1, &[&[(0, 512)]]));
    }
    state.apply(&class("fsdax", &[]));
    state
}

/// A pod with the claim of its own name.
fn pod(name: &str, version: u64, nominated: &str) -> core::Pod {
    serde_json::from_value(json!({
        "metadata": { "namespace": "ns", "name": name, "uid": format!("uid-of-pod-{name}"), "resourceVersion": version.to_string() },
        "spec": { "containers": [], "volumes": [{ "name": "v", "persistentVolumeClaim": { "claimName": name } }] },
        "status": { "nominatedNodeName": nominated },
    }))
    .unwrap()
}

/// The pod comes, with its claim.
fn comes(state: &mut State, name: &str) {
    state.apply(&claim("ns", name, "fsdax", "100Mi"));
    state.apply(&pod(name, 1, ""));
}

fn filter(state: &mut State, name: &str, version: u64, now: Instant) -> Vec<&'static str> {
    let choice = NodeChoice {
        policy: Policy::Pack,
        candidates: 8,
    };
    let pod = Pod::from(&pod(name, version, ""));
    let filtered = filter_and_reserve(state, &ReadObjects::default(), &pod, &NODES, choice, now);
    filtered.unwrap().passed
}

fn held(state: &State) -> usize {
    NODES
        .iter()
        .map(|node| state.ledger().reservations_on(node).count())
        .sum()
}

#[test]
fn a_pod_alone_has_the_choice_until_it_names_a_node() {
    let (mut state, now) = (cluster(), Instant::now());
    comes(&mut state, "a");
    assert_eq!(filter(&mut state, "a", 1, now), NODES);
    assert_eq!(held(&state), 3);
    state.apply(&pod("a", 2, "two"));
    assert_eq!(state.ledger().nodes_of("uid-of-a"), ["two"].into());
    // kube-scheduler was told more than a second ago, and has yet to write the claim: in Permit, for an hour.
    state.expire(now + Duration::from_secs(3600));
    state.expire(now + Duration::from_secs(7200));
    assert_eq!(held(&state), 1);
    state.apply(&selected(claim("ns", "a", "fsdax", "100Mi"), "two"));
    Indexes::<core::Pod>::delete(&mut state, &ObjectKey::new("ns", "a"));
    assert_eq!(held(&state), 1);
}

#[test]
fn in_a_burst_one_node_passes() {
    let (mut state, now) = (cluster(), Instant::now());
    for number in 0..20 {
        let name = format!("a{number}");
        state.apply(&claim("ns", &name, "fsdax", "10Mi"));
        state.apply(&pod(&name, 1, ""));
        let passed = filter(&mut state, &name, 1, now);
        assert_eq!(passed.len(), if number < 16 { 3 } else { 1 }, "{number}");
        state.apply(&pod(&name, 2, passed[0]));
    }
    assert_eq!(held(&state), 20);
}

/// Another extender refuses it, or its gang is not complete.
#[test]
fn a_pod_that_comes_back_holds_other_nodes_and_no_more() {
    let (mut state, now) = (cluster(), Instant::now());
    comes(&mut state, "a");
    // No more than one is offered: many pods come at this moment.
    for number in 0..16 {
        let name = format!("other{number}");
        state.apply(&claim("ns", &name, "fsdax", "1Mi"));
        filter(&mut state, &name, 1, now);
        Indexes::<core::PersistentVolumeClaim>::delete(&mut state, &ObjectKey::new("ns", &name));
    }
    let mut seen: Vec<&str> = Vec::new();
    for attempt in 0..9 {
        let passed = filter(&mut state, "a", 1, now);
        assert_eq!((passed.len(), held(&state)), (1, 1), "attempt {attempt}");
        seen.push(passed[0]);
    }
    for three in seen.chunks(3) {
        let mut three = three.to_vec();
        three.sort_unstable();
        assert_eq!(three, NODES);
    }
}

/// The pod shows that it is over, but the watch of claims may be behind: they are read.
#[test]
fn a_pod_that_gives_up_holds_nothing() {
    let (mut state, now) = (cluster(), Instant::now());
    comes(&mut state, "a");
    filter(&mut state, "a", 1, now);
    state.apply(&pod("a", 2, "two"));
    state.apply(&pod("a", 3, ""));
    let doubts = state.ledger().doubtful(now);
    let claimed = Claim::from(&selected(claim("ns", "a", "fsdax", "100Mi"), "two"));
    state.look_closer(&doubts[0], Some(&Pod::from(&pod("a", 3, ""))), &[claimed]);
    assert_eq!((held(&state), state.ledger().doubtful(now).len()), (1, 0));

    comes(&mut state, "b");
    filter(&mut state, "b", 1, now);
    state.apply(&pod("b", 2, "one"));
    state.apply(&pod("b", 3, ""));
    let doubts = state.ledger().doubtful(now);
    let unclaimed = Claim::from(&claim("ns", "b", "fsdax", "100Mi"));
    state.look_closer(&doubts[0], Some(&Pod::from(&pod("b", 3, ""))), &[unclaimed]);
    assert!(state.ledger().nodes_of("uid-of-b").is_empty());
    // It goes elsewhere now.
    assert_eq!(filter(&mut state, "b", 3, now), ["three", "two"]);
}

#[test]
fn a_pod_that_is_deleted_holds_nothing() {
    let (mut state, now) = (cluster(), Instant::now());
    comes(&mut state, "a");
    filter(&mut state, "a", 1, now);
    Indexes::<core::Pod>::delete(&mut state, &ObjectKey::new("ns", "a"));
    state.expire(now);
    assert_eq!(state.ledger().doubtful(now), []);
    let doubts = state.ledger().doubtful(now + HEARD_WITHIN);
    state.look_closer(&doubts[0], None, &[Claim::from(&claim("ns", "a", "fsdax", "100Mi"))]);
    assert_eq!(held(&state), 0);
}

/// external-provisioner does not call CreateVolume, and the pod is gone.
#[test]
fn a_neglected_claim_is_read_before_its_reservation_ends() {
    let (mut state, now) = (cluster(), Instant::now());
    let shown = selected(claim("ns", "a", "fsdax", "100Mi"), "two");
    state.apply(&shown);
    state.expire(now);
    let neglected = state.ledger().neglected(now + NEGLECTED_AFTER).remove(0);
    let bound = |mut claim: core::PersistentVolumeClaim| {
        claim.spec.as_mut().unwrap().volume_name = Some("pv".into());
        claim
    };
    let elsewhere = selected(shown.clone(), "one");
    for (now, has_volume) in [(&elsewhere, false), (&bound(shown.clone()), false), (&shown, true)] {
        assert!(!state.look_after(&neglected, Some(&Claim::from(now)), has_volume));
    }
    assert_eq!(held(&state), 1);
    assert!(state.look_after(&neglected, Some(&Claim::from(&shown)), false));
    assert_eq!(held(&state), 0);
    state.apply(&shown);
    assert_eq!(held(&state), 0);
}

/// Another scheduler decided it, or this one before the extender was started anew. Pod, claim and class are shown in any order.
#[test]
fn what_a_pod_names_is_not_given_to_others() {
    let mut state = State::default();
    state.apply(&node("one", 1, &[&[(0, 128)]]));
    state.apply(&pod("theirs", 2, "one"));
    state.apply(&claim("ns", "theirs", "fsdax", "100Mi"));
    assert_eq!(held(&state), 0);
    state.apply(&class("fsdax", &[]));
    assert_eq!(held(&state), 1);
    comes(&mut state, "ours");
    assert_eq!(filter(&mut state, "ours", 1, Instant::now()), [""; 0]);
}
