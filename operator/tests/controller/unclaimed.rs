//! Volumes that nobody asks for any more.

use std::collections::HashMap;

use cluster::ObjectKey;
use crds::{DELETE_VOLUME, PmemVolume, UNUSED};
use daxfit_operator::controller::{Service, VolumeId};
use daxfit_operator::unclaimed_volumes::{KeptUnused, Unnamed};
use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::setup::silent;
use crate::support::api_server::ApiServer;
use crate::support::{class, index, plain_node, volume, with_status};

const CLAIM: &str = "/api/v1/namespaces/shop/persistentvolumeclaims/data";
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// Of the classes "waits" and "immediate".
fn setup() -> (ApiServer, Service) {
    let waits = StorageClass {
        volume_binding_mode: Some("WaitForFirstConsumer".into()),
        ..class("waits", &[])
    };
    let index = index(vec![plain_node("n", 512)], vec![], vec![waits, class("immediate", &[])]);
    let (server, client) = ApiServer::start(&index, silent);
    (server, Service::new(client, index, CancellationToken::new()))
}

/// The claim "shop/data" with the unique id 1.
fn claim(class: &str, annotations: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "shop", "uid": "1", "annotations": annotations},
        "spec": {"storageClassName": class, "resources": {"requests": {"storage": "28Mi"}}},
    })
}

fn id() -> VolumeId {
    VolumeId::parse("pvc-1").unwrap()
}

fn key() -> ObjectKey {
    ObjectKey::new("shop", "data")
}

fn is_deleted_as_unused(server: &ApiServer) -> bool {
    let volume = server.volume("pvc-1");
    volume.is_some_and(|volume| {
        let reason = volume
            .metadata
            .annotations
            .as_ref()
            .and_then(|all| all.get(DELETE_VOLUME));
        volume.metadata.deletion_timestamp.is_some() && reason.is_some_and(|reason| reason == UNUSED)
    })
}

/// Whether the volume goes, beside what `others` store, with its object or without.
async fn goes(object: Option<PmemVolume>, others: impl Fn(&ApiServer)) -> bool {
    let (server, service) = setup();
    others(&server);
    let (id, claim, claim_uid) = (id(), key(), "1".to_owned());
    let removed = if let Some(object) = object {
        server.add_volume(&object);
        let claim = Some(claim);
        service.remove_unclaimed(&Unnamed { id, claim, claim_uid }).await
    } else {
        let object = volume("pvc-1", "n", 28).kept(None, true);
        let listed = server.object(CLAIM).into_iter();
        let claims = listed.map(|listed| (listed["metadata"]["uid"].as_str().unwrap().into(), claim.clone()));
        let claims: HashMap<String, ObjectKey> = claims.collect();
        service.remove_kept(KeptUnused { id, claim_uid, object }, &claims).await
    };
    let removed = removed.unwrap();
    assert_eq!(removed, is_deleted_as_unused(&server));
    removed
}

fn objects() -> [Option<PmemVolume>; 2] {
    [Some(volume("pvc-1", "n", 28)), None]
}

#[tokio::test]
async fn a_volume_whose_claim_is_gone_goes() {
    for object in objects() {
        assert!(goes(object.clone(), |_| ()).await);
        let another = |server: &ApiServer| {
            let mut claim = claim("waits", &json!({SELECTED_NODE: "n"}));
            claim["metadata"]["uid"] = json!("2");
            server.store(CLAIM.into(), claim);
        };
        assert!(goes(object, another).await, "of the same name");
    }
}

/// etcd was restored to the time before kube-scheduler had chosen a node, which it does not find while the volume is there.
#[tokio::test]
async fn a_volume_goes_whose_claim_waits_for_a_node_anew() {
    for object in objects() {
        let with = |class: &'static str, annotations: Value| {
            move |server: &ApiServer| server.store(CLAIM.into(), claim(class, &annotations))
        };
        assert!(goes(object.clone(), with("waits", json!({}))).await);
        assert!(!goes(object.clone(), with("waits", json!({SELECTED_NODE: "n"}))).await);
        assert!(!goes(object.clone(), with("immediate", json!({}))).await);
        assert!(!goes(object, with("unknown", json!({}))).await);
    }
}

#[tokio::test]
async fn a_volume_that_a_persistent_volume_names_stays() {
    for object in objects() {
        assert!(!goes(object, |server| server.add_persistent_volume("pvc-1", "n")).await);
    }
}

/// CreateVolume is not called any more for a claim whose node was deleted.
#[tokio::test]
async fn a_refused_volume_goes_unless_it_has_a_region() {
    let asked = |server: &ApiServer| server.store(CLAIM.into(), claim("waits", &json!({SELECTED_NODE: "n"})));
    let with_region = json!({"phase": "Refused", "region": "r0"});
    assert!(!goes(Some(with_status(volume("pvc-1", "n", 28), with_region)), asked).await);
    let (server, service) = setup();
    asked(&server);
    server.add_volume(&with_status(volume("pvc-1", "n", 28), json!({"phase": "Refused"})));
    let (id, claim, claim_uid) = (id(), Some(key()), "1".into());
    assert!(
        service
            .remove_unclaimed(&Unnamed { id, claim, claim_uid })
            .await
            .unwrap()
    );
    assert_eq!(server.volume("pvc-1"), None, "it has nothing to erase");
}
