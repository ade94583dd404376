//! Pods whose claims are judged together, and pods that share claims, case by case.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use cluster::watch::Indexes;
use cluster::{Claim, ObjectKey, Pod, PodVolume, ReadObjects};
use extender::decide::{NodeChoice, PreparedRequirements, explain, filter_and_reserve};
use extender::ledger::DEFAULT_TIME_LIMIT;
use extender::state::State;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use placement::Policy;
use serde_json::json;

use crate::testing::{claim, class, node, persistent_volume, pod_named, selected, volume};

const NODES: [&str; 2] = ["one", "two"];

/// Two nodes alike: 128 MiB on NUMA 0, 64 MiB on NUMA 1.
fn cluster() -> State {
    let mut state = State::default();
    for name in NODES {
        state.apply(&node(name, 1, &[&[(0, 128)], &[(0, 64)]]));
    }
    state.apply(&class("fsdax", &[]));
    state.apply(&class("mem", &[("csi.daxfit.dev/map", "mem")]));
    state.apply(&class("sector", &[("csi.daxfit.dev/mode", "sector")]));
    state.apply(&class("numa1", &[("csi.daxfit.dev/numa", "1")]));
    state
}

fn passed(state: &mut State, pod: &Pod, names: &[&'static str]) -> Vec<&'static str> {
    let choice = NodeChoice {
        policy: Policy::Pack,
        candidates: 1,
    };
    filter_and_reserve(state, &ReadObjects::default(), pod, names, choice, Instant::now())
        .unwrap()
        .passed
}

fn schedule(state: &mut State, pod: &str, claims: &[&str]) -> Vec<&'static str> {
    passed(state, &pod_named(pod, claims), &NODES)
}

fn why_not(state: &mut State, pod: &Pod, name: &'static str) -> String {
    let choice = NodeChoice {
        policy: Policy::Pack,
        candidates: 1,
    };
    let refused = filter_and_reserve(state, &ReadObjects::default(), pod, &[name], choice, Instant::now()).unwrap();
    let mut refusals = refused.failed.iter().chain(&refused.unresolvable);
    refusals.next().unwrap().1.to_string()
}

fn bound(mut claim: PersistentVolumeClaim, volume: &str) -> PersistentVolumeClaim {
    claim.spec.as_mut().unwrap().volume_name = Some(volume.into());
    claim
}

#[test]
fn two_pods_within_a_millisecond_do_not_count_the_same_bytes() {
    let mut state = cluster();
    for name in ["a", "b", "c", "d"] {
        state.apply(&claim("ns", name, "fsdax", "100Mi"));
    }
    let first = schedule(&mut state, "a", &["a"]);
    let second = schedule(&mut state, "b", &["b"]);
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first, second);
    let third = pod_named("c", &["c"]);
    assert_eq!(
        why_not(&mut state, &third, "one"),
        "asked 100 MiB; largest extent 62 MiB on NUMA 1, 90 MiB free in 2 extents, 102 MiB reserved for ns/a"
    );
    // A pod that is not carried out gives its bytes back.
    state.expire(Instant::now() + Duration::from_secs(600));
    assert_eq!(passed(&mut state, &third, &NODES).len(), 1);
}

#[test]
fn different_classes_and_modes_are_judged_together() {
    let mut state = cluster();
    for (name, class, size) in [
        ("f", "fsdax", "40Mi"),
        ("m", "mem", "40Mi"),
        ("s", "sector", "30Mi"),
        ("n", "numa1", "40Mi"),
    ] {
        state.apply(&claim("ns", name, class, size));
    }
    // NUMA 1 has room for "n" only if none of the others comes first and takes it: best fit would send them there.
    assert_eq!(schedule(&mut state, "three", &["f", "m", "s"]).len(), 1);
    let all = pod_named("all", &["f", "m", "s", "n"]);
    let refused = why_not(&mut state, &all, "two");
    assert!(
        refused.starts_with("asked 40 MiB + 40 MiB + 40 MiB + 30 MiB; "),
        "{refused}"
    );
}

#[test]
fn bound_and_unbound_claims_mixed() {
    let mut state = cluster();
    state.apply(&bound(claim("ns", "data", "fsdax", "20Mi"), "pv"));
    state.apply(&persistent_volume("pv", "v", Some("two")));
    state.apply(&claim("ns", "log", "fsdax", "100Mi"));
    assert_eq!(schedule(&mut state, "p", &["data", "log"]), ["two"]);
    let reserved = state
        .ledger()
        .reservations_on("two")
        .map(|(reservation, _)| reservation.claim.to_string());
    assert_eq!(reserved.collect::<Vec<_>>(), ["ns/log"]);
    // What is bound needs nothing more, so all nodes that will do pass and nothing is reserved.
    assert_eq!(schedule(&mut state, "q", &["data"]), ["two"]);
    assert_eq!(state.ledger().reservations_on("one").count(), 0);
}

#[test]
fn space_is_reserved_for_generic_ephemeral_volumes_as_well() {
    let mut state = cluster();
    let volumes = [PodVolume::Ephemeral("scratch"), PodVolume::Claim("data")];
    let pod = Pod::new("ns", "p", "uid-of-p", volumes);
    let owner = json!([{ "apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "uid-of-p", "controller": true }]);
    let mut made = claim("ns", "p-scratch", "fsdax", "50Mi");
    made.metadata.owner_references = Some(serde_json::from_value(owner).unwrap());
    state.apply(&made);
    state.apply(&claim("ns", "data", "fsdax", "100Mi"));
    let node = passed(&mut state, &pod, &NODES)[0];
    assert_eq!(state.ledger().reservations_on(node).count(), 2);
    // The pod goes, and its claim with it; the other claim stays until its time is up.
    Indexes::<PersistentVolumeClaim>::delete(&mut state, &ObjectKey::new("ns", "p-scratch"));
    assert_eq!(state.ledger().reservations_on(node).count(), 1);
}

#[test]
fn a_claim_that_comes_after_its_pod_has_a_reservation_before_the_watch_shows_it() {
    let mut state = cluster();
    let late = claim("ns", "late", "fsdax", "100Mi");
    let mut read = ReadObjects::default();
    read.add_claim(ObjectKey::new("ns", "late"), Some(Claim::from(&late)));
    let choice = NodeChoice {
        policy: Policy::Pack,
        candidates: 1,
    };
    let pod = pod_named("p", &["late"]);
    let node = filter_and_reserve(&mut state, &read, &pod, &NODES, choice, Instant::now())
        .unwrap()
        .passed[0];
    assert_eq!(state.ledger().nodes_of("uid-of-late"), [node].into());
    // A list that began earlier ends without it; then it comes, gets its selected node, and its volume.
    Indexes::<PersistentVolumeClaim>::reset(&mut state, &HashSet::new());
    state.apply(&late);
    assert_eq!(state.ledger().nodes_of("uid-of-late"), [node].into());
    state.apply(&selected(late, node));
    assert_eq!(state.ledger().nodes_of("uid-of-late"), [node].into());
    state.apply(&volume("pvc-uid-of-late", node, 100));
    assert!(state.ledger().nodes_of("uid-of-late").is_empty());
    state.apply(&claim("ns", "next", "fsdax", "100Mi"));
    assert_ne!(schedule(&mut state, "next", &["next"]), [node]);
}

#[test]
fn a_volume_that_comes_before_its_claim_is_shown_ends_the_reservation() {
    let mut state = cluster();
    let mut read = ReadObjects::default();
    read.add_claim(
        ObjectKey::new("ns", "late"),
        Some(Claim::from(&claim("ns", "late", "fsdax", "100Mi"))),
    );
    let choice = NodeChoice {
        policy: Policy::Pack,
        candidates: 2,
    };
    let pod = pod_named("p", &["late"]);
    assert_eq!(
        filter_and_reserve(&mut state, &read, &pod, &NODES, choice, Instant::now())
            .unwrap()
            .passed,
        NODES
    );
    state.apply(&volume("pvc-uid-of-late", "two", 100));
    assert!(state.ledger().nodes_of("uid-of-late").is_empty());
    state.apply(&claim("ns", "next", "fsdax", "100Mi"));
    assert_eq!(schedule(&mut state, "next", &["next"]), ["one"]);
}

#[test]
fn a_claim_of_two_pods_is_one_reservation_and_keeps_them_together() {
    let mut state = cluster();
    for (name, size) in [("shared", "50Mi"), ("a", "40Mi"), ("b", "40Mi")] {
        state.apply(&claim("ns", name, "fsdax", size));
    }
    let first = schedule(&mut state, "p", &["shared", "a"]);
    assert_eq!(schedule(&mut state, "q", &["shared", "b"]), first);
    assert_eq!(state.ledger().reservations_on(first[0]).count(), 3);
    // 128 + 64 MiB do not hold the shared claim twice beside the others, so it was counted once.
    assert_eq!(
        state
            .ledger()
            .reservations_on(first[0])
            .filter(|(reservation, _)| *reservation.claim.name == *"shared")
            .count(),
        1
    );
}

#[test]
fn a_deleted_claim_frees_its_bytes_at_once() {
    let mut state = cluster();
    state.apply(&claim("ns", "a", "fsdax", "100Mi"));
    state.apply(&claim("ns", "b", "fsdax", "100Mi"));
    let node = schedule(&mut state, "p", &["a"])[0];
    let other = pod_named("q", &["b"]);
    assert_eq!(passed(&mut state, &other, &[node]), [""; 0]);
    Indexes::<PersistentVolumeClaim>::delete(&mut state, &ObjectKey::new("ns", "a"));
    assert_eq!(passed(&mut state, &other, &[node]), [node]);

    // A claim of the same name is another claim.
    let mut anew = claim("ns", "b", "fsdax", "100Mi");
    anew.metadata.uid = Some("another".into());
    state.apply(&anew);
    assert!(state.ledger().nodes_of("uid-of-b").is_empty());
}

#[test]
fn a_restart_counts_what_the_cluster_shows() {
    let mut state = cluster();
    // The class comes last: only then it is known what the claim asks for.
    Indexes::<StorageClass>::delete(&mut state, &ObjectKey::new("", "fsdax"));
    state.apply(&selected(claim("ns", "assigned", "fsdax", "100Mi"), "one"));
    assert_eq!(state.ledger().reservations_on("one").count(), 0);
    state.apply(&class("fsdax", &[]));
    state.apply(&claim("ns", "next", "fsdax", "100Mi"));
    assert_eq!(schedule(&mut state, "p", &["next"]), ["two"]);
    // Its own pod is not in its own way.
    assert_eq!(schedule(&mut state, "q", &["assigned"]), ["one"]);
    // The provisioner was refused and took the node back. That may have been before the pod was decided on.
    state.apply(&claim("ns", "assigned", "fsdax", "100Mi"));
    assert_eq!(state.ledger().reservations_on("one").count(), 1);
    state.expire(Instant::now() + DEFAULT_TIME_LIMIT * 2);
    assert_eq!(state.ledger().reservations_on("one").count(), 0);
}

#[test]
fn explains_without_reserving() {
    let mut state = cluster();
    state.apply(&claim("ns", "a", "fsdax", "100Mi"));
    state.apply(&claim("ns", "b", "fsdax", "100Mi"));
    let node = schedule(&mut state, "p", &["a"])[0];
    let other = if node == "one" { "two" } else { "one" };
    state.apply(&volume("pending", other, 14));
    let requirements = |pod: &Pod| PreparedRequirements::of(pod, &state, &ReadObjects::default()).unwrap();
    let explained = explain(&state, Policy::Pack, &mut requirements(&pod_named("q", &["b"])));
    let explained = serde_json::to_value(explained).unwrap();
    let mib = |n: u64| n << 20;
    assert_eq!(
        explained["asked"],
        json!([{ "claim": "ns/b", "required": mib(100), "mode": "fsdax", "map": "dev" }])
    );
    assert_eq!(explained["nodes"][0]["node"], other);
    assert_eq!(
        (&explained["nodes"][0]["holds"], &explained["nodes"][0]["score"]),
        (&json!(true), &json!(10))
    );
    assert_eq!(
        explained["nodes"][0]["pending"],
        json!([{ "volume": "pending", "required": mib(14) }])
    );
    let refused = &explained["nodes"][1];
    assert_eq!((&refused["holds"], &refused["never"]), (&json!(false), &json!(false)));
    assert!(
        refused["reason"]
            .as_str()
            .unwrap()
            .ends_with(", 102 MiB reserved for ns/a"),
        "{refused}"
    );
    assert_eq!(
        (&refused["why"]["kind"], &refused["why"]["message"]),
        (&json!("noSpace"), &refused["reason"])
    );
    assert_eq!(
        refused["why"]["reserved"],
        json!([{ "claim": "ns/a", "bytes": mib(102) }])
    );
    assert_eq!((&refused["free"], &refused["extents"]), (&json!(mib(90)), &json!(2)));
    assert_eq!(
        refused["regions"][1],
        json!({ "region": "r1", "numa": 1, "largest": mib(62), "free": mib(64), "extents": 1 })
    );
    let reserved = json!([{ "claim": "ns/a", "required": mib(100), "state": "tentative", "own": false }]);
    assert_eq!(refused["reserved"], reserved);
    // The pod that the bytes are reserved for sees them free.
    let own = explain(&state, Policy::Pack, &mut requirements(&pod_named("p", &["a"])));
    let own = own.nodes.iter().find(|explained| explained.node == node).unwrap();
    assert!(own.holds && own.reserved[0].own);
    assert!(state.ledger().nodes_of("uid-of-b").is_empty());
    let nothing = explain(&state, Policy::Pack, &mut requirements(&pod_named("r", &[])));
    assert!(nothing.verdict.unwrap().ends_with("any node will do") && nothing.nodes.iter().all(|node| node.holds));
}
