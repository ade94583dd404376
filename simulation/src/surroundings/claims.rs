//! kube-controller-manager's controllers of claims and volumes: claims of ephemeral volumes, binding, release, and protection
//! while in use.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{after_each_change, claims_of, is_deleted, remove_finalizer, text};
use crate::api_server::{ApiServer, Key, Kind};
use crate::dice::Dice;

/// Holds a claim while a pod with a node uses it.
pub const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";
/// Holds a volume while a claim is bound to it.
pub const VOLUME_PROTECTION: &str = "kubernetes.io/pv-protection";

/// Binds, releases and protects for ever.
pub async fn run(api: ApiServer, dice: Dice) {
    after_each_change(&api, &dice, || {
        let volumes = api.list(Kind::PersistentVolume);
        for volume in &volumes {
            bind_or_release(&api, volume);
        }
        make_ephemeral_claims(&api);
        unprotect_claims(&api);
    })
    .await;
}

/// The claim that a volume was made for, if it is still that one.
fn claim_of(api: &ApiServer, volume: &Value) -> Option<(Key, std::sync::Arc<Value>)> {
    let key = Key::in_namespace(
        Kind::PersistentVolumeClaim,
        text(volume, "/spec/claimRef/namespace"),
        text(volume, "/spec/claimRef/name"),
    );
    let claim = api.get(&key)?;
    (claim["metadata"]["uid"] == volume["spec"]["claimRef"]["uid"]).then_some((key, claim))
}

fn bind_or_release(api: &ApiServer, volume: &Value) {
    let name = text(volume, "/metadata/name");
    let key = Key::of(Kind::PersistentVolume, name);
    if !volume["spec"]["claimRef"].is_object() && !is_deleted(volume) {
        set_phase(api, &key, "Available");
    } else if let Some((claim_key, claim)) = claim_of(api, volume) {
        let bound_to = text(&claim, "/spec/volumeName");
        if bound_to.is_empty() && !is_deleted(&claim) {
            let _ = api.update(&claim_key, |claim| claim["spec"]["volumeName"] = json!(name));
            let _ = api.update_status(&claim_key, |status| status["phase"] = json!("Bound"));
        }
        if bound_to.is_empty() || bound_to == name {
            set_phase(api, &key, "Bound");
        } else if text(volume, "/spec/persistentVolumeReclaimPolicy") == "Delete" {
            // It was made for a claim that was bound to another one meanwhile.
            set_phase(api, &key, "Released");
        } else {
            let _ = api.update(&key, make_available);
        }
    } else {
        set_phase(api, &key, "Released");
        if is_deleted(volume) {
            let _ = api.update(&key, |volume| remove_finalizer(volume, VOLUME_PROTECTION));
        }
    }
}

/// Takes away which claim a volume was bound to: another one may get it.
pub fn make_available(volume: &mut Value) {
    if let Some(spec) = volume["spec"].as_object_mut() {
        spec.remove("claimRef");
    }
}

fn set_phase(api: &ApiServer, key: &Key, phase: &str) {
    // One that is there already changes nothing.
    let _ = api.update_status(key, |status| status["phase"] = json!(phase));
}

/// The spec of a claim.
#[must_use]
pub fn claim_spec(class: &str, bytes: i64, is_block: bool) -> Value {
    json!({
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": class,
        "volumeMode": if is_block { "Block" } else { "Filesystem" },
        "resources": { "requests": { "storage": bytes.to_string() } },
    })
}

/// The claims of ephemeral volumes belong to their pods (`pkg/controller/volume/ephemeral`).
fn make_ephemeral_claims(api: &ApiServer) {
    for pod in api.list(Kind::Pod).into_iter().filter(|pod| !is_deleted(pod)) {
        let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
        for (volume, name) in volumes.zip(claims_of(&pod)) {
            let template = &volume["ephemeral"]["volumeClaimTemplate"];
            let key = Key::in_namespace(Kind::PersistentVolumeClaim, "default", &name);
            if template.is_object() && api.get(&key).is_none() {
                let claim = json!({
                    "metadata": {
                        "finalizers": [CLAIM_PROTECTION], "annotations": {}, "labels": template["metadata"]["labels"],
                        "ownerReferences": [{
                            "apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"],
                            "controller": true, "blockOwnerDeletion": true,
                        }],
                    },
                    "spec": template["spec"],
                    "status": { "phase": "Pending" },
                });
                let _ = api.create(key, claim);
            }
        }
    }
}

/// The claims that pods with a node have: no other pod keeps a claim that is deleted (`podUsesPVC` of
/// `pkg/controller/volume/pvcprotection`).
#[must_use]
pub fn claims_in_use(api: &ApiServer) -> BTreeSet<String> {
    let pods = api.list(Kind::Pod).into_iter();
    let with_node = pods.filter(|pod| !text(pod, "/spec/nodeName").is_empty());
    with_node.flat_map(|pod| claims_of(&pod).collect::<Vec<_>>()).collect()
}

fn unprotect_claims(api: &ApiServer) {
    let used = claims_in_use(api);
    for claim in api.list(Kind::PersistentVolumeClaim) {
        let name = text(&claim, "/metadata/name");
        if is_deleted(&claim) && !used.contains(name) {
            let key = Key::in_namespace(Kind::PersistentVolumeClaim, "default", name);
            let _ = api.update(&key, |claim| remove_finalizer(claim, CLAIM_PROTECTION));
        }
    }
}
