//! Volumes that have data on a node and no PmemVolume.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here is a failed test")]

mod support;

use std::collections::BTreeSet;

use crds::{MANAGED_BY, PmemVolume, PmemVolumeStatus, VolumeMode};
use daxfit_operator::index::{Index, SharedIndex};
use daxfit_operator::kept_volumes::{Unnamed, maker, objects_to_make, unnamed_volumes, warner};
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::ResourceExt;
use kube::runtime::events::{Recorder, Reporter};
use placement::Bytes;
use serde_json::{Value, json};
use support::api_server::ApiServer;
use support::{Watched, erasing, index, keeping, list, persistent_volume, plain_node, volume};

const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces";
const NAMED: &str = "/api/v1/persistentvolumes/pv-of-pvc-1";

/// Node "a" keeps a volume of 28 MiB that a `PersistentVolume` names there.
fn kept() -> SharedIndex {
    kept_with(&json!({}))
}

fn kept_with(more: &Value) -> SharedIndex {
    let index = index(vec![keeping(plain_node("a", 512), "pvc-1", more)], vec![], vec![]);
    index.apply(persistent_volume("pvc-1", "a"));
    index
}

fn to_make(index: &SharedIndex) -> Vec<PmemVolume> {
    index.read(objects_to_make)
}

/// The only object to make.
fn made(index: &SharedIndex) -> PmemVolume {
    let mut volumes = to_make(index);
    assert_eq!(volumes.len(), 1);
    volumes.remove(0)
}

fn unnamed(index: &SharedIndex) -> Vec<(String, Unnamed)> {
    index.read(unnamed_volumes).into_keys().collect()
}

fn released(policy: &str) -> PersistentVolume {
    let mut volume = persistent_volume("pvc-1", "a");
    volume.spec.as_mut().unwrap().persistent_volume_reclaim_policy = Some(policy.into());
    volume.status.as_mut().unwrap().phase = Some("Released".into());
    volume
}

#[test]
fn the_object_is_made_of_what_the_node_and_the_persistent_volume_say() {
    let made = made(&kept());
    assert_eq!((made.name_any().as_str(), made.spec.node.as_str()), ("pvc-1", "a"));
    assert_eq!((made.spec.required, made.spec.limit), (Bytes::mib(28), None));
    assert_eq!(made.spec.mode, VolumeMode::Fsdax, "as the node reports");
    assert_eq!(made.spec.claim.unwrap().name, "data");
    assert_eq!(made.metadata.finalizers, None);
    let annotations = made.metadata.annotations.unwrap_or_default();
    assert_eq!(annotations.into_keys().collect::<Vec<_>>(), [crds::KEPT, crds::KEPT_IN]);
}

#[test]
fn it_promises_no_more_than_there_is_and_is_of_the_mode_that_it_was_made_with() {
    let required = |usable: Value| made(&kept_with(&json!({ "usable": usable }))).spec.required;
    assert_eq!(required(json!(20 << 20)), Bytes::mib(20));
    assert_eq!(required(json!(40 << 20)), Bytes::mib(28));
    assert_eq!(required(Value::Null), Bytes::mib(28));
    assert_eq!(made(&kept_with(&json!({ "mode": null }))).spec.mode, VolumeMode::Sector);
}

#[test]
fn nothing_is_made_that_exists() {
    let index = kept();
    index.apply(volume("pvc-1", "a", 28));
    assert_eq!(to_make(&index), []);
    assert_eq!(unnamed(&index), []);
}

#[test]
fn an_object_on_another_node_does_not_hide_what_is_kept() {
    let index = kept();
    index.apply(volume("pvc-1", "b", 28));
    let twice = Unnamed::Twice(vec!["a".into(), "b".into()]);
    assert_eq!((to_make(&index).len(), unnamed(&index)), (0, vec![("a".into(), twice)]));
}

#[test]
fn nothing_is_made_that_is_being_made() {
    let index = kept();
    let reserved = index.reserve(|_| Ok::<_, ()>(volume("pvc-1", "a", 28))).unwrap();
    assert_eq!(to_make(&index), []);
    drop(reserved);
    assert_eq!(to_make(&index).len(), 1);
}

/// external-provisioner calls DeleteVolume, which sees to the object itself.
#[test]
fn nothing_is_made_that_is_to_be_deleted() {
    let index = kept();
    index.apply(released("Delete"));
    assert_eq!((to_make(&index).len(), unnamed(&index)), (0, vec![]));
    index.apply(released("Retain"));
    assert_eq!(to_make(&index).len(), 1);
}

#[test]
fn what_is_erased_is_not_made() {
    let index = index(vec![erasing(plain_node("a", 512), "pvc-1")], vec![], vec![]);
    index.apply(persistent_volume("pvc-1", "a"));
    assert_eq!((to_make(&index).len(), unnamed(&index)), (0, vec![]));
}

#[test]
fn what_nobody_names_on_its_node_is_not_made() {
    let index = index(
        vec![keeping(plain_node("a", 512), "pvc-1", &json!({})), plain_node("b", 512)],
        vec![],
        vec![],
    );
    let by_nobody = [("a".to_owned(), Unnamed::ByNobody)];
    assert_eq!((to_make(&index).len(), unnamed(&index)), (0, by_nobody.to_vec()));
    index.apply(persistent_volume("pvc-1", "b"));
    assert_eq!((to_make(&index).len(), unnamed(&index)), (0, by_nobody.to_vec()));
    index.apply(persistent_volume("pvc-1", "a"));
    assert_eq!((to_make(&index).len(), unnamed(&index)), (1, vec![]));
    index.delete(&persistent_volume("pvc-1", "a"));
    assert_eq!(to_make(&index).len(), 0);
}

#[test]
fn what_is_there_twice_is_not_made() {
    let index = kept();
    let twice = |nodes: &[&str]| Unnamed::Twice(nodes.iter().map(|node| (*node).into()).collect());
    index.apply(keeping(plain_node("b", 512), "pvc-1", &json!({})));
    assert_eq!(to_make(&index), []);
    let on_both = twice(&["a", "b"]);
    assert_eq!(unnamed(&index), [("a".into(), on_both.clone()), ("b".into(), on_both)]);
    index.delete(&plain_node("b", 512));
    assert_eq!(to_make(&index).len(), 1);
    let one = keeping(plain_node("a", 512), "pvc-1", &json!({}));
    index.apply(keeping(
        one,
        "pvc-1",
        &json!({ "footprint": { "start": 64 << 20, "size": 30 << 20 } }),
    ));
    assert_eq!(unnamed(&index), [("a".into(), twice(&["a", "a"]))]);
    assert_eq!(to_make(&index), []);
}

#[test]
fn before_the_cluster_is_known_nothing_is_made() {
    let index = SharedIndex::default();
    index.apply(keeping(plain_node("a", 512), "pvc-1", &json!({})));
    index.apply(persistent_volume("pvc-1", "a"));
    assert_eq!((to_make(&index).len(), unnamed(&index)), (0, vec![]));
}

#[test]
fn a_node_that_says_something_else_is_believed() {
    let index = kept();
    index.apply(plain_node("a", 512));
    assert_eq!(to_make(&index), []);
    index.apply(keeping(plain_node("a", 512), "pvc-1", &json!({})));
    assert_eq!(to_make(&index).len(), 1);
    index.update(|index| list(index, vec![plain_node("b", 512)]));
    assert_eq!(to_make(&index), [], "the node is gone");
    assert!(index.read(|index| Index::reports_of(index, "pvc-1").is_empty()));
}

fn not_yet(_: &PmemVolume) -> PmemVolumeStatus {
    PmemVolumeStatus::default()
}

async fn shown(index: &SharedIndex) {
    index.wait_for(|index| index.volume("pvc-1").map(drop)).await;
}

/// What the API server itself says of the `PersistentVolume`.
fn store(server: &ApiServer, object: &PersistentVolume) {
    server.store(NAMED.into(), serde_json::to_value(object).unwrap());
}

/// The watches show what was some time ago, and one of them may be further behind than another.
#[tokio::test(start_paused = true)]
async fn what_was_erased_meanwhile_is_not_made_from_what_the_watches_show() {
    let index = kept();
    let (server, client) = ApiServer::start(&index, not_yet);
    let recorder = Recorder::new(client.clone(), Reporter::from(MANAGED_BY));
    let maker = tokio::spawn(maker::run(client, recorder, index.clone()));
    let pause = || tokio::time::sleep(std::time::Duration::from_secs(45));
    pause().await;
    assert_eq!(server.take_writes().len(), 0, "it is named no more");
    store(&server, &released("Delete"));
    pause().await;
    assert_eq!(server.take_writes().len(), 0, "it is being deleted");
    let elsewhere = persistent_volume("pvc-1", "b");
    store(&server, &elsewhere);
    pause().await;
    assert_eq!(server.take_writes().len(), 0, "the name is another volume's");
    store(&server, &persistent_volume("pvc-1", "a"));
    shown(&index).await;
    maker.abort();
}

#[tokio::test(start_paused = true)]
async fn an_object_that_was_deleted_by_hand_is_back_and_its_user_is_told() {
    let index = kept();
    let (server, client) = ApiServer::start(&index, not_yet);
    store(&server, &persistent_volume("pvc-1", "a"));
    let recorder = Recorder::new(client.clone(), Reporter::from(MANAGED_BY));
    let maker = tokio::spawn(maker::run(client, recorder, index.clone()));
    shown(&index).await;
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert_eq!(server.take_writes().len(), 2, "the object and the event, once");
    assert_eq!(server.volume("pvc-1").unwrap().metadata.finalizers, None);
    let events = server.objects(&format!("{EVENTS}/shop/events"));
    assert_eq!(events[0]["regarding"]["uid"], "uid-of-data");
    let note = events[0]["note"].as_str().unwrap();
    assert!(note.contains("nothing was erased") && note.contains("node a"), "{note}");

    server.delete_by_hand("pvc-1");
    shown(&index).await;
    assert!(!maker.is_finished());
    maker.abort();
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_takes_no_object_is_asked_again() {
    let index = kept();
    let (server, client) = ApiServer::start(&index, not_yet);
    store(&server, &persistent_volume("pvc-1", "a"));
    server.fail(Some(http::StatusCode::FORBIDDEN));
    let recorder = Recorder::new(client.clone(), Reporter::from(MANAGED_BY));
    let maker = tokio::spawn(maker::run(client, recorder, index.clone()));
    tokio::time::sleep(std::time::Duration::from_secs(35)).await;
    assert_eq!(server.take_writes().len(), 4, "every ten seconds");
    server.fail(None);
    shown(&index).await;
    maker.abort();
}

#[tokio::test(start_paused = true)]
async fn a_node_is_told_once_of_volumes_that_nobody_names() {
    let index = index(vec![keeping(plain_node("a", 512), "pvc-1", &json!({}))], vec![], vec![]);
    let (server, client) = ApiServer::start(&index, not_yet);
    let warner = tokio::spawn(warner::run(client, index.clone()));
    let pause = || tokio::time::sleep(std::time::Duration::from_secs(45));
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert_eq!(server.take_writes().len(), 0, "its object may be on its way");
    pause().await;
    let events = server.objects(&format!("{EVENTS}/default/events"));
    assert_eq!(events[0]["regarding"]["uid"], "uid-of-a");
    assert!(events[0]["note"].as_str().unwrap().contains("pvc-1"), "{}", events[0]);
    pause().await;
    assert_eq!(server.take_writes().len(), 1);
    index.apply(keeping(
        keeping(plain_node("a", 512), "pvc-1", &json!({})),
        "pvc-2",
        &json!({}),
    ));
    pause().await;
    pause().await;
    assert_eq!(server.take_writes().len(), 1, "another one");
    warner.abort();
}

#[test]
fn the_text_of_many_volumes_is_as_long_as_the_api_server_takes_it() {
    let many: BTreeSet<String> = (0..1000)
        .map(|at| format!("pvc-6c2f5c2e-52a5-4c2a-8a62-5a1f1d1f{at:04}"))
        .collect();
    let nodes = vec!["a".to_owned(), "b".to_owned()];
    for why in [Unnamed::ByNobody, Unnamed::Twice(nodes)] {
        let text = warner::advice(&why, &many);
        assert!(text.len() <= 1024 && text.contains("and 995 more"), "{text}");
    }
}
