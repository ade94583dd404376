use http::Method;
use kube::runtime::reflector;
use serde_json::{Value, json};

use super::*;
use crate::fixtures::{ApiServer, Asked};

fn volume() -> PmemVolume {
    serde_json::from_value(json!({
        "apiVersion": "daxfit.dev/v1alpha1", "kind": "PmemVolume",
        "metadata": { "name": "v", "uid": "u", "resourceVersion": "7", "finalizers": ["other/one"] },
        "spec": { "node": "n", "required": 1, "mode": "fsdax" },
    }))
    .unwrap()
}

fn cluster() -> (Cluster, ApiServer) {
    let (client, server) = ApiServer::new();
    let (store, _) = reflector::store();
    (Cluster::new(client, store), server)
}

fn same(_: &Asked) -> Value {
    serde_json::to_value(volume()).unwrap()
}

#[tokio::test]
async fn a_status_is_applied_to_the_same_object_only() {
    let (cluster, mut server) = cluster();
    let status = PmemVolumeStatus {
        layout_revision: Some(3),
        ..Default::default()
    };
    let volume = volume();
    let (written, asked) = tokio::join!(cluster.write(&volume, status), server.answer(200, same));
    written.unwrap();
    assert_eq!(asked.method, Method::PATCH);
    assert!(
        asked.uri.starts_with("/apis/daxfit.dev/v1alpha1/pmemvolumes/v/status?"),
        "{}",
        asked.uri
    );
    assert!(asked.uri.contains("fieldManager=daxfit-node-driver") && asked.uri.contains("force=true"));
    assert_eq!(asked.body["metadata"]["uid"], "u");
    assert_eq!(asked.body["status"]["layoutRevision"], 3);
    assert_eq!(asked.body["spec"], Value::Null);
}

#[tokio::test]
async fn finalizers_of_others_stay() {
    let (cluster, mut server) = cluster();
    let mut volume = volume();
    let (held, asked) = tokio::join!(cluster.hold(&volume), server.answer(200, same));
    held.unwrap();
    assert_eq!(asked.body["metadata"]["finalizers"], json!(["other/one", FINALIZER]));
    assert_eq!(asked.body["metadata"]["resourceVersion"], "7");

    volume.metadata.finalizers = Some(vec![FINALIZER.into(), "other/one".into()]);
    let (released, asked) = tokio::join!(cluster.release(&volume), server.answer(200, same));
    released.unwrap();
    assert_eq!(asked.body["metadata"]["finalizers"], json!(["other/one"]));
}

#[tokio::test]
async fn letting_go_of_what_is_gone_is_fine_and_writing_to_it_is_not() {
    let (cluster, mut server) = cluster();
    let volume = volume();
    let (released, _) = tokio::join!(cluster.release(&volume), server.not_found());
    released.unwrap();
    let (written, _) = tokio::join!(cluster.write(&volume, PmemVolumeStatus::default()), server.not_found());
    assert_eq!(written.unwrap_err().to_string(), "cannot write the state of volume v");
}
