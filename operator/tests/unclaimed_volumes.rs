//! Volumes that no PersistentVolume names: which of them may turn out to be nobody's.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here is a failed test")]

mod support;

use cluster::ObjectKey;
use crds::{CALLED, DELETE_VOLUME, PmemVolume, UNUSED};
use daxfit_operator::index::SharedIndex;
use daxfit_operator::unclaimed_volumes::{kept_unused, without_persistent_volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;
use support::{Watched, index, keeping, persistent_volume, plain_node, volume};

/// A volume that was made for the claim "shop/data" with the unique id that is in its name.
fn claimed(name: &str) -> PmemVolume {
    let mut volume = volume(name, "n", 28);
    volume.spec.claim = Some(serde_json::from_value(json!({ "namespace": "shop", "name": "data" })).unwrap());
    volume
}

fn cluster(volumes: Vec<PmemVolume>) -> SharedIndex {
    index(vec![plain_node("n", 512)], volumes, vec![])
}

/// The ids of the volumes that were found.
fn found(index: &SharedIndex) -> Vec<String> {
    let found = index.read(without_persistent_volume).into_iter();
    found.map(|volume| volume.id.to_string()).collect()
}

#[test]
fn what_is_found_is_known_by_the_claim_that_it_was_made_for() {
    let found = cluster(vec![claimed("pvc-1")]).read(without_persistent_volume);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].id.as_str(), found[0].claim_uid.as_str()), ("pvc-1", "1"));
    assert_eq!(found[0].claim, Some(ObjectKey::new("shop", "data")));
}

#[test]
fn what_a_persistent_volume_names_is_not_found() {
    let index = cluster(vec![claimed("pvc-1"), claimed("pvc-2")]);
    index.apply(persistent_volume("pvc-1", "n"));
    assert_eq!(found(&index), ["pvc-2"]);
    // It names the volume wherever it says that this is.
    index.apply(persistent_volume("pvc-2", "elsewhere"));
    assert_eq!(found(&index), [""; 0]);
    index.delete(&persistent_volume("pvc-1", "n"));
    assert_eq!(found(&index), ["pvc-1"]);
}

#[test]
fn what_is_being_deleted_is_not_found() {
    let mut deleted = claimed("pvc-1");
    deleted.metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
    assert_eq!(found(&cluster(vec![deleted])), [""; 0]);
}

/// It was made anew for a PersistentVolume that nobody had claimed, and that was deleted then.
#[test]
fn what_was_made_anew_for_no_claim_is_found() {
    let mut volume = volume("pvc-1", "n", 28);
    volume.metadata.annotations = Some([(crds::KEPT.to_owned(), "true".to_owned())].into());
    let index = cluster(vec![volume]);
    index.apply(persistent_volume("pvc-1", "n"));
    assert_eq!(found(&index), [""; 0]);
    index.delete(&persistent_volume("pvc-1", "n"));
    assert_eq!(found(&index), ["pvc-1"]);
}

/// Somebody made it by hand, or for something else than a claim.
#[test]
fn what_no_claim_can_be_told_of_is_not_found() {
    assert_eq!(found(&cluster(vec![volume("pvc-1", "n", 28)])), [""; 0]);
    assert_eq!(found(&cluster(vec![claimed("by-hand")])), [""; 0]);
}

#[test]
fn before_the_cluster_is_known_nothing_is_found() {
    let index = SharedIndex::default();
    index.apply(claimed("pvc-1"));
    assert_eq!(found(&index), [""; 0]);
}

/// The ids of the volumes without object that were found, on a node that keeps "pvc-1", unused or not.
fn kept(unused: bool, objects: impl FnOnce(&SharedIndex)) -> Vec<String> {
    let node = keeping(plain_node("n", 512), "pvc-1", &json!({ "unused": unused }));
    let index = index(vec![node], vec![], vec![]);
    objects(&index);
    let found = index.read(kept_unused).into_iter();
    found.map(|volume| volume.id.to_string()).collect()
}

#[test]
fn what_is_kept_without_object_is_found_if_nobody_used_it() {
    assert_eq!(kept(true, |_| ()), ["pvc-1"]);
    assert_eq!(kept(false, |_| ()), [""; 0]);
    assert_eq!(kept(true, |index| index.apply(claimed("pvc-1"))), [""; 0]);
    assert_eq!(
        kept(true, |index| index.apply(persistent_volume("pvc-1", "n"))),
        [""; 0]
    );
}

/// The operator wrote it to have the volume erased, and was killed before it deleted it.
#[test]
fn what_is_said_to_be_unused_is_found_whatever_it_was_made_for() {
    let mut said = volume("pvc-1", "n", 28);
    said.metadata.annotations = Some([(DELETE_VOLUME.into(), UNUSED.into())].into());
    assert_eq!(found(&cluster(vec![said.clone()])), ["pvc-1"]);
    said.metadata.annotations = Some([(DELETE_VOLUME.into(), CALLED.into())].into());
    assert_eq!(found(&cluster(vec![said])), [""; 0]);
}
