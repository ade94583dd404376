//! What the state makes of watch events.

use std::collections::HashSet;

use cluster::watch::{Indexes, Pump};
use cluster::{Claim, Lookup, ObjectKey};
use crds::{Phase, PmemNode, PmemVolume};
use extender::state::{Kind, State};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::{CSINode, StorageClass};
use kube::runtime::watcher::Event;
use placement::Bytes;
use serde_json::json;

use crate::testing::{claim, class, node, persistent_volume, volume};

fn free(state: &State, node: &str) -> Bytes {
    let node = state.space(node).expect("reported").free().node().clone();
    node.regions
        .iter()
        .flat_map(|region| &region.free)
        .map(|extent| extent.size)
        .sum()
}

#[test]
fn a_pending_volume_takes_space_until_the_node_has_it() {
    let mut state = State::default();
    state.apply(&node("n", 7, &[&[(0, 512)]]));
    assert_eq!(free(&state, "n"), Bytes::mib(512));
    let mut pending = volume("v", "n", 30);
    state.apply(&pending);
    assert_eq!(free(&state, "n"), Bytes::mib(480));
    // The node made it: its extents, and the revision that has them, come in any order.
    pending.status.get_or_insert_default().layout_revision = Some(8);
    state.apply(&pending);
    assert_eq!(free(&state, "n"), Bytes::mib(480));
    state.apply(&node("n", 8, &[&[(32, 480)]]));
    assert_eq!(free(&state, "n"), Bytes::mib(480));
    // And it is gone only once the node says so.
    Indexes::<PmemVolume>::delete(&mut state, &ObjectKey::new("", "v"));
    assert_eq!(free(&state, "n"), Bytes::mib(480));
    state.apply(&node("n", 9, &[&[(0, 512)]]));
    assert_eq!(free(&state, "n"), Bytes::mib(512));
}

#[test]
fn a_refused_volume_takes_nothing() {
    let mut state = State::default();
    state.apply(&node("n", 1, &[&[(0, 64)]]));
    let mut refused = volume("v", "n", 30);
    refused.status.get_or_insert_default().phase = Some(Phase::Refused);
    state.apply(&refused);
    assert_eq!(free(&state, "n"), Bytes::mib(64));
}

#[test]
fn volumes_may_come_before_their_node() {
    let mut state = State::default();
    state.apply(&volume("v", "n", 30));
    assert!(state.space("n").is_none());
    state.apply(&node("n", 1, &[&[(0, 64)]]));
    assert_eq!(free(&state, "n"), Bytes::mib(32));
    Indexes::<PmemNode>::delete(&mut state, &ObjectKey::new("", "n"));
    assert!(state.space("n").is_none());
    state.apply(&node("n", 1, &[&[(0, 64)]]));
    assert_eq!(free(&state, "n"), Bytes::mib(32));
}

#[test]
fn a_volume_made_anew_elsewhere_frees_its_old_node() {
    let mut state = State::default();
    state.apply(&node("a", 1, &[&[(0, 64)]]));
    state.apply(&node("b", 1, &[&[(0, 64)]]));
    state.apply(&volume("v", "a", 30));
    state.apply(&volume("v", "b", 30));
    assert_eq!((free(&state, "a"), free(&state, "b")), (Bytes::mib(64), Bytes::mib(32)));
}

#[test]
fn a_reset_forgets_what_is_not_listed() {
    let mut state = State::default();
    for name in ["a", "b"] {
        state.apply(&node(name, 1, &[&[(0, 64)]]));
        state.apply(&volume(&format!("v-{name}"), name, 30));
        state.apply(&claim("ns", name, "fsdax", "1Mi"));
        state.apply(&class(name, &[]));
        state.apply(&persistent_volume(&format!("pv-{name}"), "h", Some(name)));
    }
    let only = |name: &str| HashSet::from([ObjectKey::new("", name)]);
    Indexes::<PmemVolume>::reset(&mut state, &only("v-b"));
    assert_eq!((free(&state, "a"), free(&state, "b")), (Bytes::mib(64), Bytes::mib(32)));
    Indexes::<PmemNode>::reset(&mut state, &only("b"));
    assert!(state.space("a").is_none() && state.space("b").is_some());
    Indexes::<StorageClass>::reset(&mut state, &only("b"));
    assert!(state.index().class("a").is_err() && state.index().class("b").is_ok());
    Indexes::<PersistentVolume>::reset(&mut state, &only("pv-b"));
    assert_eq!(state.index().node_of_persistent_volume("pv-a"), None);
    assert_eq!(state.index().node_of_persistent_volume("pv-b"), Some("b"));
    state.apply(&node("b", 1, &[&[(0, 64)]]));
    state.apply(
        &serde_json::from_value::<CSINode>(json!({ "metadata": { "name": "b" }, "spec": { "drivers": [] } })).unwrap(),
    );
    assert!(state.space("b").is_none());
    Indexes::<CSINode>::reset(&mut state, &HashSet::new());
    assert!(state.space("b").is_some());
    assert_eq!(state.unlisted(), [Kind::PersistentVolumeClaim, Kind::Pod]);
    Indexes::<Pod>::reset(&mut state, &HashSet::new());
    let listed = HashSet::from([ObjectKey::new("ns", "b")]);
    Indexes::<PersistentVolumeClaim>::reset(&mut state, &listed);
    assert!(state.index().claim(&ObjectKey::new("ns", "a")).is_err());
    assert!(state.index().claim(&ObjectKey::new("ns", "b")).is_ok());
    assert!(state.is_synced());
}

#[test]
fn a_list_that_starts_again_counts_from_the_start() {
    let mut state = State::default();
    let mut pump = Pump::default();
    let (a, b) = (class("a", &[]), class("b", &[]));
    let events = [
        Event::Init,
        Event::InitApply(a.clone()),
        // The first list broke off; the second one no longer has "a".
        Event::Init,
        Event::InitApply(b),
    ];
    for event in events {
        pump.take(&mut state, event);
    }
    assert!(state.unlisted().contains(&Kind::StorageClass));
    pump.take(&mut state, Event::InitDone);
    assert!(state.index().class("a").is_err() && state.index().class("b").is_ok());
    pump.take(&mut state, Event::Apply(a.clone()));
    assert!(state.index().class("a").is_ok());
    pump.take(&mut state, Event::Delete(a));
    assert!(state.index().class("a").is_err() && !state.unlisted().contains(&Kind::StorageClass));
}

#[test]
fn only_volumes_of_ours_are_kept() {
    let mut state = State::default();
    let mut foreign = persistent_volume("pv", "h", Some("n"));
    state.apply(&foreign);
    assert_eq!(state.index().node_of_persistent_volume("pv"), Some("n"));
    foreign.spec.as_mut().unwrap().csi.as_mut().unwrap().driver = "other.example".into();
    state.apply(&foreign);
    assert_eq!(state.index().node_of_persistent_volume("pv"), None);
}

#[test]
fn the_node_of_a_volume_wins_over_an_affinity() {
    let mut state = State::default();
    state.apply(&volume("h", "real", 30));
    state.apply(&persistent_volume("pv", "h", None));
    assert_eq!(state.index().node_of_persistent_volume("pv"), Some("real"));
}

#[test]
fn a_claim_is_being_made_where_its_volume_is() {
    let mut state = State::default();
    let claim = Claim::from(&claim("ns", "c", "fsdax", "30Mi"));
    assert_eq!(state.index().node_making(&claim.volume_name()).map(AsRef::as_ref), None);
    let mut its = volume("pvc-uid-of-c", "n", 30);
    state.apply(&its);
    assert_eq!(
        state.index().node_making(&claim.volume_name()).map(AsRef::as_ref),
        Some("n")
    );
    its.metadata.deletion_timestamp = Some(serde_json::from_str("\"2026-01-01T00:00:00Z\"").unwrap());
    state.apply(&its);
    assert_eq!(state.index().node_making(&claim.volume_name()).map(AsRef::as_ref), None);
}
