//! Pods whose claims have to be on one NUMA node, case by case.

use std::time::Instant;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use placement::{NumaNode, NumaWish, Policy};
use serde_json::json;

use super::*;
use crate::index::{Index, Indexes};
use crate::testing::{claim, class, node, persistent_volume, pod_named, volume};

/// "one" has 128 and 64 MiB, "two" has 64 and 64 MiB, on NUMA 0 and 1.
fn index() -> Index {
    let mut index = Index::default();
    index.apply(&node("one", 1, &[&[(0, 128)], &[(0, 64)]]));
    index.apply(&node("two", 1, &[&[(0, 64)], &[(0, 64)]]));
    index.apply(&class("any", &[]));
    index.apply(&class("together", &[("csi.daxfit.dev/numa", "together")]));
    for (name, size) in [("a", "60Mi"), ("b", "60Mi"), ("c", "20Mi")] {
        index.apply(&claim("ns", name, "together", size));
    }
    index
}

fn schedule(index: &mut Index, claims: &[&str]) -> Result<Vec<&'static str>, Vec<String>> {
    let offering = Offering {
        policy: Policy::Pack,
        candidates: 1,
    };
    let (pod, found) = (pod_named("p", claims), Found::default());
    let filtered = offer(index, &found, &pod, &["one", "two"], offering, Instant::now()).unwrap();
    let whys = filtered.failed.iter().chain(&filtered.unresolvable);
    let whys = whys.map(|(name, why)| format!("{name}: {why}")).collect();
    if filtered.passed.is_empty() {
        Err(whys)
    } else {
        Ok(filtered.passed)
    }
}

fn wishes(index: &Index, node: &str) -> Vec<(String, NumaWish)> {
    let on = index.ledger().on(node);
    on.map(|(promise, _)| (promise.claim.name.to_string(), promise.request.numa))
        .collect()
}

fn selected(claim: PersistentVolumeClaim, node: &str) -> PersistentVolumeClaim {
    let mut claim = claim;
    let annotation = ("volume.kubernetes.io/selected-node".to_owned(), node.to_owned());
    claim.metadata.annotations = Some([annotation].into());
    claim
}

/// The volume of a claim on node "one", which its node has not seen yet.
fn made(index: &mut Index, claim: &str, mib: u32, numa: &str) {
    let mut volume = volume(&format!("pvc-uid-of-{claim}"), "one", mib);
    volume.spec.numa = numa.to_owned().try_into().unwrap();
    index.apply(&volume);
}

/// A bound claim of an earlier day, with a volume in a region of node "one".
fn bound(index: &mut Index, name: &str, class: &str, region: &str) {
    let mut claim = claim("ns", name, class, "20Mi");
    claim.spec.as_mut().unwrap().volume_name = Some(format!("pv-of-{name}"));
    index.apply(&claim);
    index.apply(&persistent_volume(
        &format!("pv-of-{name}"),
        &format!("volume-of-{name}"),
        Some("one"),
    ));
    let mut volume = volume(&format!("volume-of-{name}"), "one", 20);
    let status = json!({ "phase": "Ready", "region": region, "layoutRevision": 1 });
    volume.status = Some(serde_json::from_value(status).unwrap());
    index.apply(&volume);
}

#[test]
fn none_exists_yet() {
    let mut index = index();
    assert_eq!(schedule(&mut index, &["a", "b"]), Ok(vec!["one"]));
    let apart = pod_named("q", &["a", "b"]);
    let mut needs = needs_of(
        &apart,
        Known {
            index: &index,
            found: &Found::default(),
        },
    )
    .unwrap();
    let refused = filter(&index, &mut needs, ["two"]).failed;
    assert_eq!(
        refused[0].1.to_string(),
        "asked 60 MiB + 60 MiB on one NUMA node; largest extent 62 MiB on NUMA 1, 128 MiB free in 2 extents"
    );
}

#[test]
fn nothing_is_held_where_they_cannot_be() {
    let mut index = index();
    assert_eq!(schedule(&mut index, &["a", "b"]), Ok(vec!["one"]));
    let zero = NumaWish::Node(NumaNode(0));
    assert_eq!(wishes(&index, "one"), [("a".into(), zero), ("b".into(), zero)]);
    index.apply(&selected(claim("ns", "b", "together", "60Mi"), "one"));
    assert_eq!(wishes(&index, "one"), [("a".into(), zero), ("b".into(), zero)]);
    // So NUMA 1 is there for others, before any of them is created.
    index.apply(&claim("ns", "other", "any", "60Mi"));
    let (other, found) = (pod_named("q", &["other"]), Found::default());
    let known = Known {
        index: &index,
        found: &found,
    };
    let mut needs = needs_of(&other, known).unwrap();
    assert_eq!(filter(&index, &mut needs, ["one"]).passed, ["one"]);
}

#[test]
fn the_others_follow_the_first() {
    let mut index = index();
    made(&mut index, "a", 60, "0");
    assert_eq!(schedule(&mut index, &["a", "b"]), Ok(vec!["one"]));
    assert_eq!(wishes(&index, "one"), [("b".into(), NumaWish::Node(NumaNode(0)))]);
    // The claim shows its node, but not what was decided.
    index.apply(&selected(claim("ns", "b", "together", "60Mi"), "one"));
    assert_eq!(wishes(&index, "one"), [("b".into(), NumaWish::Node(NumaNode(0)))]);
    index.apply(&selected(claim("ns", "b", "together", "60Mi"), "one"));
    assert_eq!(wishes(&index, "one"), [("b".into(), NumaWish::Node(NumaNode(0)))]);
    // If the node is taken back, so is the decision.
    index.apply(&claim("ns", "b", "together", "60Mi"));
    assert_eq!(wishes(&index, "one"), []);
}

#[test]
fn no_room_where_the_first_is() {
    let mut index = index();
    made(&mut index, "a", 60, "1");
    assert_eq!(
        schedule(&mut index, &["a", "b"]),
        Err(vec![
            "one: asked 60 MiB; largest extent 0 B on NUMA 1, 2 MiB free in 1 extent".into(),
            "two: claim ns/a is being made on node one".into(),
        ])
    );
}

#[test]
fn bound_volumes_decide_by_their_region() {
    let mut index = index();
    bound(&mut index, "old", "together", "r1");
    bound(&mut index, "other", "any", "r0");
    assert_eq!(schedule(&mut index, &["old", "other", "c"]), Ok(vec!["one"]));
    assert_eq!(wishes(&index, "one"), [("c".into(), NumaWish::Node(NumaNode(1)))]);
}

#[test]
fn bound_volumes_apart_leave_no_place_for_more() {
    let mut index = index();
    bound(&mut index, "old", "together", "r1");
    bound(&mut index, "older", "together", "r0");
    let why = "claim ns/c: its class wishes it on one NUMA node with the other volumes of its pod, but these are on NUMA 0 \
               and NUMA 1: give the claim another class";
    assert_eq!(
        schedule(&mut index, &["old", "older", "c"]),
        Err(vec![format!("one: {why}"), format!("two: {why}")])
    );
    // They themselves cannot be moved, so the pod may use them as they are.
    assert_eq!(schedule(&mut index, &["old", "older"]), Ok(vec!["one"]));
}

#[test]
fn a_volume_that_is_refused_or_goes_does_not_decide() {
    let mut index = index();
    let mut volume = volume("pvc-uid-of-a", "one", 60);
    volume.spec.numa = "1".to_owned().try_into().unwrap();
    volume.status = Some(serde_json::from_value(json!({ "phase": "Refused" })).unwrap());
    index.apply(&volume);
    assert_eq!(schedule(&mut index, &["a", "b"]), Ok(vec!["one"]));
    let zero = NumaWish::Node(NumaNode(0));
    assert_eq!(wishes(&index, "one"), [("a".into(), zero), ("b".into(), zero)]);
}
