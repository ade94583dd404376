use std::collections::HashSet;

use crds::{Phase, PmemNode, PmemVolume};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::runtime::watcher::Event;
use placement::Bytes;

use super::*;
use crate::testing::{claim, class, node, persistent_volume, volume};

fn free(index: &Index, node: &str) -> Bytes {
    let node = index.node(node).expect("published").view().unwrap().node().clone();
    node.regions
        .iter()
        .flat_map(|region| &region.free)
        .map(|extent| extent.size)
        .sum()
}

#[test]
fn a_pending_volume_takes_space_until_the_node_has_it() {
    let mut index = Index::default();
    index.apply(&node("n", 7, &[&[(0, 512)]]));
    assert_eq!(free(&index, "n"), Bytes::mib(512));
    let mut pending = volume("v", "n", 30);
    index.apply(&pending);
    assert_eq!(free(&index, "n"), Bytes::mib(480));
    // The node made it: its extents, and the revision that has them, come in any order.
    pending.status.get_or_insert_default().layout_revision = Some(8);
    index.apply(&pending);
    assert_eq!(free(&index, "n"), Bytes::mib(480));
    index.apply(&node("n", 8, &[&[(32, 480)]]));
    assert_eq!(free(&index, "n"), Bytes::mib(480));
    // And it is gone only once the node says so.
    Indexes::<PmemVolume>::delete(&mut index, &ObjectKey::new("", "v"));
    assert_eq!(free(&index, "n"), Bytes::mib(480));
    index.apply(&node("n", 9, &[&[(0, 512)]]));
    assert_eq!(free(&index, "n"), Bytes::mib(512));
}

#[test]
fn a_refused_volume_takes_nothing() {
    let mut index = Index::default();
    index.apply(&node("n", 1, &[&[(0, 64)]]));
    let mut refused = volume("v", "n", 30);
    refused.status.get_or_insert_default().phase = Some(Phase::Refused);
    index.apply(&refused);
    assert_eq!(free(&index, "n"), Bytes::mib(64));
}

#[test]
fn volumes_may_come_before_their_node() {
    let mut index = Index::default();
    index.apply(&volume("v", "n", 30));
    assert!(index.node("n").is_none());
    index.apply(&node("n", 1, &[&[(0, 64)]]));
    assert_eq!(free(&index, "n"), Bytes::mib(32));
    Indexes::<PmemNode>::delete(&mut index, &ObjectKey::new("", "n"));
    assert!(index.node("n").is_none());
    index.apply(&node("n", 1, &[&[(0, 64)]]));
    assert_eq!(free(&index, "n"), Bytes::mib(32));
}

#[test]
fn a_volume_made_anew_elsewhere_frees_its_old_node() {
    let mut index = Index::default();
    index.apply(&node("a", 1, &[&[(0, 64)]]));
    index.apply(&node("b", 1, &[&[(0, 64)]]));
    index.apply(&volume("v", "a", 30));
    index.apply(&volume("v", "b", 30));
    assert_eq!((free(&index, "a"), free(&index, "b")), (Bytes::mib(64), Bytes::mib(32)));
}

#[test]
fn a_reset_forgets_what_is_not_listed() {
    let mut index = Index::default();
    for name in ["a", "b"] {
        index.apply(&node(name, 1, &[&[(0, 64)]]));
        index.apply(&volume(&format!("v-{name}"), name, 30));
        index.apply(&claim("ns", name, "fsdax", "1Mi"));
        index.apply(&class(name, &[]));
        index.apply(&persistent_volume(&format!("pv-{name}"), "h", Some(name)));
    }
    let only = |name: &str| HashSet::from([ObjectKey::new("", name)]);
    Indexes::<PmemVolume>::reset(&mut index, &only("v-b"));
    assert_eq!((free(&index, "a"), free(&index, "b")), (Bytes::mib(64), Bytes::mib(32)));
    Indexes::<PmemNode>::reset(&mut index, &only("b"));
    assert!(index.node("a").is_none() && index.node("b").is_some());
    Indexes::<StorageClass>::reset(&mut index, &only("b"));
    assert!(index.class("a").is_none() && index.class("b").is_some());
    Indexes::<PersistentVolume>::reset(&mut index, &only("pv-b"));
    assert_eq!(index.node_of_persistent_volume("pv-a"), None);
    assert_eq!(index.node_of_persistent_volume("pv-b"), Some("b"));
    assert_eq!(index.unlisted(), [Kind::PersistentVolumeClaim]);
    let listed = HashSet::from([ObjectKey::new("ns", "b")]);
    Indexes::<PersistentVolumeClaim>::reset(&mut index, &listed);
    assert!(index.claim(&ObjectKey::new("ns", "a")).is_none());
    assert!(index.claim(&ObjectKey::new("ns", "b")).is_some());
    assert!(index.is_synced());
}

#[test]
fn a_list_that_starts_again_counts_from_the_start() {
    let mut index = Index::default();
    let mut feed = Feed::default();
    let (a, b) = (class("a", &[]), class("b", &[]));
    let events = [
        Event::Init,
        Event::InitApply(a.clone()),
        // The first list broke off; the second one no longer has "a".
        Event::Init,
        Event::InitApply(b),
    ];
    for event in &events {
        feed.on_event(&mut index, event);
    }
    assert!(!index.listed.contains(&Kind::StorageClass));
    feed.on_event::<StorageClass>(&mut index, &Event::InitDone);
    assert!(index.class("a").is_none() && index.class("b").is_some());
    feed.on_event(&mut index, &Event::Apply(a.clone()));
    assert!(index.class("a").is_some());
    feed.on_event(&mut index, &Event::Delete(a));
    assert!(index.class("a").is_none() && index.listed.contains(&Kind::StorageClass));
}

#[test]
fn only_volumes_of_ours_are_kept() {
    let mut index = Index::default();
    let mut foreign = persistent_volume("pv", "h", Some("n"));
    index.apply(&foreign);
    assert_eq!(index.node_of_persistent_volume("pv"), Some("n"));
    foreign.spec.as_mut().unwrap().csi.as_mut().unwrap().driver = "other.example".into();
    index.apply(&foreign);
    assert_eq!(index.node_of_persistent_volume("pv"), None);
}

#[test]
fn the_node_of_a_volume_wins_over_an_affinity() {
    let mut index = Index::default();
    index.apply(&volume("h", "real", 30));
    index.apply(&persistent_volume("pv", "h", None));
    assert_eq!(index.node_of_persistent_volume("pv"), Some("real"));
}

#[test]
fn a_claim_is_being_made_where_its_volume_is() {
    let mut index = Index::default();
    let claim = Claim::from(&claim("ns", "c", "fsdax", "30Mi"));
    assert_eq!(index.node_making(&claim), None);
    let mut its = volume("pvc-uid-of-c", "n", 30);
    index.apply(&its);
    assert_eq!(index.node_making(&claim), Some("n"));
    its.metadata.deletion_timestamp = Some(serde_json::from_str("\"2026-01-01T00:00:00Z\"").unwrap());
    index.apply(&its);
    assert_eq!(index.node_making(&claim), None);
}
