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
use daxfit_operator::index::{Index, SharedIndex};
use daxfit_operator::stranded_claims::{Absences, is_stranded};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde_json::json;
use support::{Watched, class, csi_node, index, plain_node, volume};

fn claim(selected: Option<&str>, volume: Option<&str>) -> Claim {
    let claim: PersistentVolumeClaim = serde_json::from_value(json!({
        "metadata": { "namespace": "ns", "name": "c", "uid": "u", "annotations": { SELECTED_NODE: selected.unwrap_or("") } },
        "spec": {
            "storageClassName": "fast", "volumeName": volume,
            "resources": { "requests": { "storage": "20Mi" } },
        },
    }))
    .unwrap();
    Claim::from(&claim)
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
