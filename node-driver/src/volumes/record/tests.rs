use http::Method;
use kube::runtime::reflector;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

use super::*;
use crate::fixtures::{ApiServer, ReceivedRequest};

fn volume() -> PmemVolume {
    serde_json::from_value(json!({
        "apiVersion": "daxfit.dev/v1alpha1", "kind": "PmemVolume",
        "metadata": { "name": "v", "uid": "u", "resourceVersion": "7", "finalizers": ["other/one"] },
        "spec": { "node": "n", "required": 1, "mode": "fsdax" },
    }))
    .unwrap()
}

fn record() -> (ClusterRecord, ApiServer) {
    let (client, server) = ApiServer::new();
    let (store, _) = reflector::store();
    (ClusterRecord::new(client, "n", store), server)
}

fn version(version: &str) -> PmemVolume {
    let mut volume = volume();
    volume.metadata.resource_version = Some(version.into());
    volume
}

fn same(_: &ReceivedRequest) -> Value {
    serde_json::to_value(volume()).unwrap()
}

#[tokio::test]
async fn a_status_is_applied_to_the_same_object_only() {
    let (record, mut server) = record();
    let status = PmemVolumeStatus {
        layout_revision: Some(3),
        ..Default::default()
    };
    let volume = volume();
    let (written, request) = tokio::join!(record.write_status(&volume, status), server.respond(200, same));
    written.unwrap();
    assert_eq!(request.method, Method::PATCH);
    assert!(
        request
            .uri
            .starts_with("/apis/daxfit.dev/v1alpha1/pmemvolumes/v/status?"),
        "{}",
        request.uri
    );
    assert!(request.uri.contains("fieldManager=daxfit-node-driver") && request.uri.contains("force=true"));
    assert_eq!(request.body["metadata"]["uid"], "u");
    assert_eq!(request.body["metadata"]["resourceVersion"], "7");
    assert_eq!(request.body["status"]["layoutRevision"], 3);
    assert_eq!(request.body["spec"], Value::Null);
}

#[tokio::test]
async fn finalizers_of_others_stay() {
    let (record, mut server) = record();
    let mut volume = volume();
    volume.metadata.finalizers = Some(vec![FINALIZER.into(), "other/one".into()]);
    let (removed, request) = tokio::join!(record.remove_finalizer(&volume), server.respond(200, same));
    removed.unwrap();
    assert_eq!(request.body["metadata"]["finalizers"], json!(["other/one"]));
    assert_eq!(request.body["metadata"]["resourceVersion"], "7");
}

#[tokio::test]
async fn already_gone_counts_as_success_for_the_finalizer_and_as_failure_for_a_status() {
    let (record, mut server) = record();
    let volume = volume();
    let (removed, _) = tokio::join!(record.remove_finalizer(&volume), server.not_found());
    removed.unwrap();
    let (written, _) = tokio::join!(
        record.write_status(&volume, PmemVolumeStatus::default()),
        server.not_found()
    );
    assert_eq!(
        written.unwrap_err().to_string(),
        "cannot read or write the state of volume v"
    );
}

#[tokio::test]
async fn a_volume_is_read_as_it_is_now() {
    let (record, mut server) = record();
    let (read, request) = tokio::join!(record.read("v"), server.respond(200, same));
    assert_eq!(read.unwrap(), Some(volume()));
    assert_eq!(request.method, Method::GET);
    let gone = |_: &ReceivedRequest| json!({ "kind": "Status", "code": 404, "reason": "NotFound" });
    let (read, _) = tokio::join!(record.read("v"), server.respond(404, gone));
    assert_eq!(read.unwrap(), None);
}

/// What `record` shows of its only volume.
fn shown(record: &ClusterRecord) -> String {
    let volume = record.all().remove(0);
    volume.metadata.resource_version.clone().unwrap()
}

#[tokio::test]
async fn what_was_written_is_known_before_the_watch_shows_it() {
    let (client, mut server) = ApiServer::new();
    let (store, mut watch) = reflector::store();
    let record = ClusterRecord::new(client, "n", store);
    watch.apply_watcher_event(&Event::Apply(version("7")));
    let written = |_: &ReceivedRequest| serde_json::to_value(version("9")).unwrap();
    let (volume, status) = (volume(), PmemVolumeStatus::default());
    let (answer, _) = tokio::join!(record.write_status(&volume, status), server.respond(200, written));
    answer.unwrap();
    assert_eq!(shown(&record), "9");
    watch.apply_watcher_event(&Event::Apply(version("8")));
    assert_eq!(shown(&record), "9");
    watch.apply_watcher_event(&Event::Apply(version("10")));
    assert_eq!(shown(&record), "10");

    let mut another = version("8");
    another.metadata.uid = Some("of another".into());
    watch.apply_watcher_event(&Event::Apply(another));
    assert_eq!(shown(&record), "8");
}

/// Somebody else wrote since, and the watch is behind.
#[tokio::test]
async fn a_conflict_is_told_from_other_errors() {
    let (record, mut server) = record();
    let refusal =
        |code: u16| move |_: &ReceivedRequest| json!({ "kind": "Status", "code": code, "reason": "Conflict" });
    for (code, is_conflict) in [(409, true), (403, false)] {
        let (volume, status) = (volume(), PmemVolumeStatus::default());
        let (written, _) = tokio::join!(
            record.write_status(&volume, status),
            server.respond(code, refusal(code))
        );
        assert_eq!(written.unwrap_err().is_conflict(), is_conflict);
    }
}

#[tokio::test]
async fn what_the_watch_shows_no_more_is_gone() {
    let (record, mut server) = record();
    let (read, _) = tokio::join!(record.read("v"), server.respond(200, same));
    assert!(read.unwrap().is_some());
    assert_eq!(record.all(), []);
}
