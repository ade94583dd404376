//! Claims that wait for a node without a driver.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here is a failed test"
)]

mod support;

use std::time::{Duration, Instant};

use cluster::Claim;
use cluster::names::SELECTED_NODE;
use crds::PmemVolumeStatus;
use daxfit_operator::index::{Index, SharedIndex};
use daxfit_operator::stranded_claims::{Absences, give_back, is_stranded};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::runtime::events::{Recorder, Reporter};
use serde_json::{Value, json};
use support::api_server::ApiServer;
use support::{Watched, class, csi_node, index, plain_node, volume};

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
        absences.look(&shared.read(Index::driverless_nodes), now);
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
    absences.look(&[], now);
    absences.look(&shared.read(Index::driverless_nodes), now);
    assert_eq!(absences.overdue().next(), None);
}

#[test]
fn what_is_bound_or_was_begun_stays() {
    let (shared, absences) = after(LONG);
    let stays = |claim: &Claim| !shared.read(|index| is_stranded(claim, &absences, index));
    assert!(stays(&claim(Some("n"), Some("pvc-u"))));
    assert!(stays(&claim(None, None)));
    assert!(!stays(&claim(Some("n"), None)));
    shared.apply(volume("pvc-u", "n", 20));
    assert!(stays(&claim(Some("n"), None)));
}

#[tokio::test]
async fn the_selected_node_is_taken_off_and_an_event_says_why() {
    let (shared, absences) = after(LONG);
    let (server, client) = ApiServer::start(&shared, |_| PmemVolumeStatus::default());
    let (listed, own) = (
        "/api/v1/persistentvolumeclaims/c",
        "/api/v1/namespaces/ns/persistentvolumeclaims/c",
    );
    for path in [listed, own] {
        server.store(path.into(), object(Some("n"), None));
    }
    let recorder = Recorder::new(client.clone(), Reporter::from("test"));
    give_back(&client, &recorder, &shared, &absences).await.unwrap();
    let now = server.object(own).unwrap();
    assert!(now["metadata"]["annotations"][SELECTED_NODE].is_null(), "{now}");
    let events = server.objects("/apis/events.k8s.io/v1/namespaces/ns/events");
    assert_eq!(events[0]["reason"], "NodeWithoutDriver");
    // Another node was selected since the list.
    let mut changed = object(Some("other"), None);
    changed["metadata"]["resourceVersion"] = json!("8");
    server.store(own.into(), changed.clone());
    give_back(&client, &recorder, &shared, &absences).await.unwrap();
    assert_eq!(server.object(own), Some(changed));
}
