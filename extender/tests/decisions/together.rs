//! Pods whose claims have to be on one NUMA node, case by case.

use std::time::Instant;

use cluster::watch::Indexes;
use cluster::{NotIndexed, ReadObjects};
use crds::NumaChoice;
use extender::decide::{NodeChoice, PreparedRequirements, filter, filter_and_reserve};
use extender::state::State;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec};
use placement::{NumaNode, NumaWish, Policy};
use serde_json::json;

use crate::testing::{claim, class, node, persistent_volume, pod_named, selected, volume};

/// "one" has 128 and 64 MiB, "two" has 64 and 64 MiB, on NUMA 0 and 1.
fn cluster() -> State {
    let mut state = State::default();
    state.apply(&node("one", 1, &[&[(0, 128)], &[(0, 64)]]));
    state.apply(&node("two", 1, &[&[(0, 64)], &[(0, 64)]]));
    state.apply(&class("any", &[]));
    state.apply(&class("on-one", &[("csi.daxfit.dev/numa", "1")]));
    state.apply(&class("together", &[("csi.daxfit.dev/numa", "together")]));
    for (name, size) in [("a", "60Mi"), ("b", "60Mi"), ("c", "20Mi")] {
        state.apply(&claim("ns", name, "together", size));
    }
    state
}

fn schedule(state: &mut State, claims: &[&str]) -> Result<Vec<&'static str>, Vec<String>> {
    let choice = NodeChoice {
        policy: Policy::Pack,
        candidates: 1,
    };
    let (pod, read) = (pod_named("p", claims), ReadObjects::default());
    let filtered = filter_and_reserve(state, &read, &pod, &["one", "two"], choice, Instant::now()).unwrap();
    let refusals = filtered.failed.iter().chain(&filtered.unresolvable);
    let refusals = refusals.map(|(name, why)| format!("{name}: {why}")).collect();
    if filtered.passed.is_empty() {
        Err(refusals)
    } else {
        Ok(filtered.passed)
    }
}

fn wishes(state: &State, node: &str) -> Vec<(String, NumaWish)> {
    let on = state.ledger().reservations_on(node);
    on.map(|(reservation, _)| (reservation.claim.name.to_string(), reservation.space().unwrap().numa))
        .collect()
}

/// Whether another pod passes on `node`, with a claim of this class and size.
fn other_passes(state: &mut State, class: &str, size: &str, node: &str) -> bool {
    state.apply(&claim("ns", "other", class, size));
    let (other, read) = (pod_named("q", &["other"]), ReadObjects::default());
    let mut requirements = PreparedRequirements::of(&other, state, &read).unwrap();
    !filter(state, &mut requirements, [node]).passed.is_empty()
}

/// The volume of a claim on node "one", which its node has not seen yet.
fn made(state: &mut State, claim: &str, mib: u32, numa: &str) {
    let mut volume = volume(&format!("pvc-uid-of-{claim}"), "one", mib);
    volume.spec.numa = numa.to_owned().try_into().unwrap();
    state.apply(&volume);
}

/// A bound claim of an earlier day, with a volume in a region of node "one".
fn bound(state: &mut State, name: &str, class: &str, region: &str) {
    let mut claim = claim("ns", name, class, "20Mi");
    claim.spec.as_mut().unwrap().volume_name = Some(format!("pv-of-{name}"));
    state.apply(&claim);
    state.apply(&persistent_volume(
        &format!("pv-of-{name}"),
        &format!("volume-of-{name}"),
        Some("one"),
    ));
    let mut volume = volume(&format!("volume-of-{name}"), "one", 20);
    let status = json!({ "phase": "Ready", "region": region, "layoutRevision": 1 });
    volume.status = Some(serde_json::from_value(status).unwrap());
    state.apply(&volume);
}

#[test]
fn none_exists_yet() {
    let mut state = cluster();
    assert_eq!(schedule(&mut state, &["a", "b"]), Ok(vec!["one"]));
    let apart = pod_named("q", &["a", "b"]);
    let mut requirements = PreparedRequirements::of(&apart, &state, &ReadObjects::default()).unwrap();
    let refused = filter(&state, &mut requirements, ["two"]).failed;
    assert_eq!(
        refused[0].1.to_string(),
        "asked 60 MiB + 60 MiB on one NUMA node; largest extent 62 MiB on NUMA 1, 128 MiB free in 2 extents"
    );
}

#[test]
fn nothing_is_reserved_where_they_cannot_be() {
    let mut state = cluster();
    assert_eq!(schedule(&mut state, &["a", "b"]), Ok(vec!["one"]));
    state.apply(&selected(claim("ns", "b", "together", "60Mi"), "one"));
    // So NUMA 1 is there for others, before any of them is created.
    assert!(other_passes(&mut state, "any", "60Mi", "one"));
    assert!(other_passes(&mut state, "on-one", "60Mi", "one"));
}

#[test]
fn where_they_can_be_is_another_question_once_a_volume_went() {
    let mut state = cluster();
    assert_eq!(schedule(&mut state, &["a", "b"]), Ok(vec!["one"]));
    state.apply(&selected(claim("ns", "b", "together", "60Mi"), "one"));
    state.apply(&node("one", 2, &[&[(0, 128)], &[(0, 124)]]));
    // The operator may choose either.
    assert!(!other_passes(&mut state, "on-one", "60Mi", "one"));
}

/// Node "one" reports a namespace of this claim on NUMA 0, where 66 MiB are left, and so many on NUMA 1, before the volume itself is
/// shown.
fn reports_made(state: &mut State, claim: &str, on_one: u32) {
    let mut node = node("one", 2, &[&[(62, 66)], &[(0, on_one)]]);
    node.status.as_mut().unwrap().regions[0].volumes = vec![format!("pvc-uid-of-{claim}")];
    state.apply(&node);
}

#[test]
fn space_is_kept_for_the_others_once_the_first_is_reported() {
    let mut state = cluster();
    assert_eq!(schedule(&mut state, &["b", "c"]), Ok(vec!["one"]));
    state.apply(&selected(claim("ns", "c", "together", "20Mi"), "one"));
    reports_made(&mut state, "c", 64);
    // There is no room for both any more, but there need not be.
    assert!(!other_passes(&mut state, "any", "30Mi", "one"));
    // Nor is NUMA 1 the only one that may hold the other, with room for both.
    state.apply(&class("on-zero", &[("csi.daxfit.dev/numa", "0")]));
    reports_made(&mut state, "c", 128);
    assert!(!other_passes(&mut state, "on-zero", "30Mi", "one"));
}

#[test]
fn no_space_is_kept_for_what_is_reported() {
    let mut state = cluster();
    assert_eq!(schedule(&mut state, &["b"]), Ok(vec!["two"]));
    state.apply(&selected(claim("ns", "b", "together", "60Mi"), "one"));
    assert!(!other_passes(&mut state, "on-one", "60Mi", "one"));
    reports_made(&mut state, "b", 64);
    assert!(other_passes(&mut state, "on-one", "60Mi", "one"));
    // So it was an earlier volume of that name. The next one takes space of its own.
    let mut refused = volume("pvc-uid-of-b", "one", 60);
    refused.status = Some(serde_json::from_value(json!({ "phase": "Refused" })).unwrap());
    state.apply(&refused);
    assert!(!other_passes(&mut state, "on-one", "60Mi", "one"));
}

#[test]
fn the_others_follow_the_first() {
    let mut state = cluster();
    made(&mut state, "a", 60, "0");
    assert_eq!(schedule(&mut state, &["a", "b"]), Ok(vec!["one"]));
    assert_eq!(wishes(&state, "one"), [("b".into(), NumaWish::Node(NumaNode(0)))]);
    // The claim shows its node, but not what was decided.
    state.apply(&selected(claim("ns", "b", "together", "60Mi"), "one"));
    assert_eq!(wishes(&state, "one"), [("b".into(), NumaWish::Node(NumaNode(0)))]);
    state.apply(&selected(claim("ns", "b", "together", "60Mi"), "one"));
    assert_eq!(wishes(&state, "one"), [("b".into(), NumaWish::Node(NumaNode(0)))]);
    // If the node is taken back, that may have been before the decision.
    state.apply(&claim("ns", "b", "together", "60Mi"));
    assert_eq!(wishes(&state, "one"), [("b".into(), NumaWish::Node(NumaNode(0)))]);
}

#[test]
fn no_space_where_the_first_is() {
    let mut state = cluster();
    made(&mut state, "a", 60, "1");
    assert_eq!(
        schedule(&mut state, &["a", "b"]),
        Err(vec![
            "one: asked 60 MiB; largest extent 0 B on NUMA 1, 2 MiB free in 1 extent".into(),
            "two: claim ns/a is being made on node one".into(),
        ])
    );
}

#[test]
fn bound_volumes_decide_by_their_region() {
    let mut state = cluster();
    bound(&mut state, "old", "together", "r1");
    bound(&mut state, "other", "any", "r0");
    assert_eq!(schedule(&mut state, &["old", "other", "c"]), Ok(vec!["one"]));
    assert_eq!(wishes(&state, "one"), [("c".into(), NumaWish::Node(NumaNode(1)))]);
}

#[test]
fn bound_volumes_apart_leave_no_place_for_more() {
    let mut state = cluster();
    bound(&mut state, "old", "together", "r1");
    bound(&mut state, "older", "together", "r0");
    let why = "claim ns/c: its class wishes it on one NUMA node with the other volumes of its pod, but these are on NUMA 0 \
               and NUMA 1: give the claim another class";
    assert_eq!(
        schedule(&mut state, &["old", "older", "c"]),
        Err(vec![format!("one: {why}"), format!("two: {why}")])
    );
    // They themselves cannot be moved, so the pod may use them as they are.
    assert_eq!(schedule(&mut state, &["old", "older"]), Ok(vec!["one"]));
}

#[test]
fn a_volume_that_is_refused_or_goes_does_not_decide() {
    let mut state = cluster();
    let mut volume = volume("pvc-uid-of-a", "one", 60);
    volume.spec.numa = "1".to_owned().try_into().unwrap();
    volume.status = Some(serde_json::from_value(json!({ "phase": "Refused" })).unwrap());
    state.apply(&volume);
    assert_eq!(schedule(&mut state, &["a", "b"]), Ok(vec!["one"]));
    let together = NumaWish::Together;
    assert_eq!(wishes(&state, "one"), [("a".into(), together), ("b".into(), together)]);
}

/// kube-scheduler was killed after the first claim; the watches have shown that it is bound, and not yet where.
#[test]
fn a_volume_that_is_not_shown_yet_is_read() {
    let mut state = cluster();
    let bound = PersistentVolumeClaim {
        spec: Some(PersistentVolumeClaimSpec {
            volume_name: Some("pvc-uid-of-a".into()),
            ..claim("ns", "a", "together", "60Mi").spec.unwrap()
        }),
        ..claim("ns", "a", "together", "60Mi")
    };
    for shown in [bound, selected(claim("ns", "a", "together", "60Mi"), "one")] {
        state.apply(&shown);
        let pod = pod_named("p", &["a", "b"]);
        let mut read = ReadObjects::default();
        let missing = PreparedRequirements::of(&pod, &state, &read).map(drop);
        assert_eq!(missing, Err(vec![NotIndexed::Volume("pvc-uid-of-a".into())]));
        let mut there = volume("pvc-uid-of-a", "one", 60);
        there.spec.numa = NumaChoice::Node(NumaNode(1));
        read.add_volume("pvc-uid-of-a".into(), Some(there));
        let requirements = PreparedRequirements::of(&pod, &state, &read).unwrap();
        let wishes: Vec<_> = requirements
            .elsewhere()
            .claims()
            .iter()
            .map(|claim| claim.request.numa)
            .collect();
        assert_eq!(wishes, [NumaWish::Node(NumaNode(1))]);
    }
}
