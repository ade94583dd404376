//! Claims that wait for a node that is away.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here is a failed test"
)]

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use cluster::names::SELECTED_NODE;
use cluster::watch::Indexes;
use cluster::{Claim, ObjectKey};
use crds::{DELETE_VOLUME, PROVISIONED, PmemNode, PmemVolumeStatus, REGION_AWAY, UNUSED};
use daxfit_operator::controller::{Service, VolumeId};
use daxfit_operator::index::{Index, SharedIndex};
use daxfit_operator::silent_drivers;
use daxfit_operator::stranded_claims::{Absences, give_back, held_by_away_nodes, is_stranded};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::CSINode;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::events::{Recorder, Reporter};
use serde_json::{Value, json};
use support::api_server::ApiServer;
use support::{Watched, class, csi_node, index, plain_node, volume};
use tokio_util::sync::CancellationToken;

fn claim(selected: Option<&str>, volume: Option<&str>) -> Claim {
    let object: PersistentVolumeClaim = serde_json::from_value(object(selected, volume)).unwrap();
    Claim::from(&object)
}

fn object(selected: Option<&str>, volume: Option<&str>) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {
            "namespace": "ns", "name": "c", "uid": "u", "resourceVersion": "7",
            "annotations": { SELECTED_NODE: selected.unwrap_or("") },
        },
        "spec": {
            "storageClassName": "fast", "volumeName": volume,
            "resources": { "requests": { "storage": "20Mi" } },
        },
    })
}

/// Two nodes, of which one has had no driver for so long.
fn after(long: Duration) -> (SharedIndex, Absences) {
    let mut late = class("fast", &[]);
    late.volume_binding_mode = Some("WaitForFirstConsumer".into());
    let shared = index(vec![plain_node("n", 64), plain_node("other", 64)], vec![], vec![late]);
    shared.apply(csi_node("n", false));
    shared.apply(csi_node("other", true));
    let mut absences = Absences::default();
    let began = Instant::now();
    for now in [began, began + long] {
        absences.look(&shared.read(Index::away_nodes), now);
    }
    (shared, absences)
}

const LONG: Duration = Duration::from_secs(600);

#[test]
fn it_is_given_back_once_the_driver_has_been_away_for_long() {
    let is_given_back = |long, selected: &str| {
        let (shared, absences) = after(long);
        shared.read(|index| is_stranded(&claim(Some(selected), None), &absences, index))
    };
    assert!(!is_given_back(Duration::from_secs(60), "n"));
    assert!(is_given_back(LONG, "n"));
    assert!(!is_given_back(LONG, "other"));
}

#[test]
fn a_driver_that_was_back_meanwhile_has_all_its_time_again() {
    let (shared, mut absences) = after(LONG);
    let now = Instant::now() + LONG;
    absences.look(&BTreeSet::new(), now);
    absences.look(&shared.read(Index::away_nodes), now);
    assert_eq!(absences.overdue().next(), None);
}

#[test]
fn what_is_bound_or_made_where_a_driver_is_stays() {
    let (shared, absences) = after(LONG);
    let stays = |claim: &Claim| !shared.read(|index| is_stranded(claim, &absences, index));
    assert!(stays(&claim(Some("n"), Some("pvc-u"))));
    assert!(stays(&claim(None, None)));
    assert!(!stays(&claim(Some("n"), None)));
    shared.apply(volume("pvc-u", "n", 20));
    assert!(!stays(&claim(Some("n"), None)), "half made there, and not handed out");
    shared.apply(volume("pvc-u", "other", 20));
    assert!(stays(&claim(Some("n"), None)));
}

#[test]
fn what_its_node_says_is_in_use_stays() {
    let (shared, absences) = after(LONG);
    let is_stranded = |unused: bool| {
        let mut node = plain_node("n", 64);
        let kept = json!([{ "name": "pvc-u", "footprint": { "start": 0, "size": 22 << 20 }, "unused": unused }]);
        node.status.as_mut().unwrap().regions[0].kept = serde_json::from_value(kept).unwrap();
        shared.apply(node);
        shared.read(|index| is_stranded(&claim(Some("n"), None), &absences, index))
    };
    assert!(is_stranded(true));
    assert!(!is_stranded(false));
}

#[test]
fn what_was_reported_before_a_restore_waits_for_its_node() {
    let (shared, absences) = after(LONG);
    let mut deleted = volume("pvc-u", "n", 20);
    deleted.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    deleted.metadata.annotations = Some([(DELETE_VOLUME.to_owned(), UNUSED.to_owned())].into());
    shared.apply(deleted);
    let may_go = || {
        shared.read(|index| {
            let is_stranded = is_stranded(&claim(Some("n"), None), &absences, index);
            (is_stranded, !held_by_away_nodes(&absences, index).is_empty())
        })
    };
    let report = |revision: i64| {
        let mut node = plain_node("n", 64);
        let status = node.status.as_mut().unwrap();
        status.layout_revision = revision;
        status.regions[0].volumes = vec!["pvc-u".into()];
        shared.apply(node);
    };
    report(10);
    assert_eq!(may_go(), (true, true));
    report(8);
    assert_eq!(may_go(), (false, false));
    report(11);
    assert_eq!(may_go(), (true, true));
}

#[test]
fn a_silent_node_and_one_without_a_report_are_away() {
    let shared = index(
        vec![silent_node(), plain_node("other", 64)],
        vec![volume("pvc-u", "gone", 20)],
        vec![],
    );
    let away = shared.read(Index::away_nodes);
    assert_eq!(away, BTreeSet::from(["gone".to_owned(), "n".to_owned()]));
}

fn silent_node() -> PmemNode {
    let mut node = plain_node("n", 64);
    let marked = silent_drivers::patch(&node).unwrap();
    node.status.as_mut().unwrap().conditions = serde_json::from_value(marked["status"]["conditions"].clone()).unwrap();
    node
}

/// With a claim that waits for a volume half made on the node that is away.
async fn give_back_half_made(others: impl Fn(&ApiServer)) -> (ApiServer, Service) {
    let (shared, absences) = after(LONG);
    let (server, client) = ApiServer::start(&shared, |_| PmemVolumeStatus::default());
    server.add_volume(&volume("pvc-u", "n", 20));
    for path in [LISTED, OWN] {
        server.store(path.into(), object(Some("n"), None));
    }
    others(&server);
    let recorder = Recorder::new(client.clone(), Reporter::from("test"));
    let service = Service::new(client.clone(), shared, CancellationToken::new());
    give_back(&client, &recorder, &service, &absences).await.unwrap();
    (server, service)
}

fn selected(server: &ApiServer) -> Value {
    server.object(OWN).unwrap()["metadata"]["annotations"][SELECTED_NODE].clone()
}

#[tokio::test]
async fn what_was_half_made_is_deleted_as_unused_and_goes_while_the_node_is_silent() {
    let (server, service) = give_back_half_made(|_| ()).await;
    assert!(selected(&server).is_null());
    let volume = server.volume("pvc-u").unwrap();
    assert_eq!(volume.metadata.annotations.unwrap()[DELETE_VOLUME], UNUSED);
    assert!(volume.metadata.deletion_timestamp.is_some());
    let id = VolumeId::parse("pvc-u").unwrap();
    server.add_report(&plain_node("n", 64));
    assert!(!service.let_go(&id).await.unwrap(), "its driver erases it");
    server.add_report(&silent_node());
    assert!(service.let_go(&id).await.unwrap());
    assert_eq!(server.volume("pvc-u"), None);
}

#[tokio::test]
async fn what_a_persistent_volume_names_was_handed_out() {
    let (server, service) = give_back_half_made(|server| server.add_persistent_volume("pvc-u", "n")).await;
    assert_eq!(selected(&server), "n");
    assert!(server.volume("pvc-u").unwrap().metadata.deletion_timestamp.is_none());
    server.add_report(&silent_node());
    assert!(!service.let_go(&VolumeId::parse("pvc-u").unwrap()).await.unwrap());
}

#[tokio::test]
async fn what_may_have_data_from_earlier_waits_for_its_node() {
    let blocked = |reason: &str| {
        let mut volume = volume("pvc-u", "n", 20);
        let condition = json!({ "type": PROVISIONED, "status": "False", "reason": reason, "message": "",
                                "lastTransitionTime": "2026-01-01T00:00:00Z" });
        volume.status = Some(serde_json::from_value(json!({ "conditions": [condition] })).unwrap());
        volume
    };
    let kept = |is_unused| volume("pvc-u", "n", 20).kept(None, is_unused);
    for (volume, waits) in [
        (kept(true), false),
        (kept(false), true),
        (blocked("RegionNotReady"), false),
        (blocked(REGION_AWAY), true),
    ] {
        let (server, _service) = give_back_half_made(|server| server.add_volume(&volume)).await;
        let deleted = server.volume("pvc-u").unwrap().metadata.deletion_timestamp;
        assert_eq!((selected(&server) == "n", deleted.is_none()), (waits, waits));
    }
}

const LISTED: &str = "/api/v1/persistentvolumeclaims/c";
const OWN: &str = "/api/v1/namespaces/ns/persistentvolumeclaims/c";

#[tokio::test]
async fn the_selected_node_is_taken_off_and_an_event_says_why() {
    let (shared, absences) = after(LONG);
    let (server, client) = ApiServer::start(&shared, |_| PmemVolumeStatus::default());
    for path in [LISTED, OWN] {
        server.store(path.into(), object(Some("n"), None));
    }
    let recorder = Recorder::new(client.clone(), Reporter::from("test"));
    let service = Service::new(client.clone(), shared, CancellationToken::new());
    give_back(&client, &recorder, &service, &absences).await.unwrap();
    let now = server.object(OWN).unwrap();
    assert!(now["metadata"]["annotations"][SELECTED_NODE].is_null(), "{now}");
    let events = server.objects("/apis/events.k8s.io/v1/namespaces/ns/events");
    assert_eq!(events[0]["reason"], "NodeWithoutDriver");
    // Another node was selected since the list.
    let mut changed = object(Some("other"), None);
    changed["metadata"]["resourceVersion"] = json!("8");
    server.store(OWN.into(), changed.clone());
    give_back(&client, &recorder, &service, &absences).await.unwrap();
    assert_eq!(server.object(OWN), Some(changed));
}

/// Somebody deletes the PmemNode of a node that is there: that says nothing of its devices. The node's going does.
#[test]
fn what_was_reported_before_a_restore_waits_for_its_node_without_pmem_node_too() {
    let (shared, mut absences) = after(LONG);
    shared.apply(volume("pvc-u", "n", 20));
    let report = |revision: i64| {
        let mut node = plain_node("n", 64);
        let status = node.status.as_mut().unwrap();
        status.layout_revision = revision;
        status.regions[0].volumes = vec!["pvc-u".into()];
        node
    };
    let may_go = |absences: &Absences| shared.read(|index| is_stranded(&claim(Some("n"), None), absences, index));
    let no_pmem_node = || shared.update(|index| Indexes::<PmemNode>::delete(index, &ObjectKey::new("", "n")));
    shared.apply(report(10));
    shared.apply(report(8));
    no_pmem_node();
    assert!(!may_go(&absences), "deleted after the restore");

    shared.apply(report(11));
    assert!(may_go(&absences), "it reports again");
    no_pmem_node();
    shared.apply(report(8));
    assert!(!may_go(&absences), "restored after it was deleted");

    no_pmem_node();
    let mut anew = report(1);
    anew.status = None;
    shared.apply(anew);
    shared.apply(report(1));
    assert!(may_go(&absences), "its driver made it anew");

    shared.apply(report(0));
    assert!(!may_go(&absences));
    no_pmem_node();
    shared.update(|index| Indexes::<CSINode>::delete(index, &ObjectKey::new("", "n")));
    absences.look(&shared.read(Index::away_nodes), Instant::now() + LONG);
    assert!(may_go(&absences), "the node is gone for good");
}
