use std::collections::HashMap;

use crds::{DRIVER_NAME, PmemVolume, TOPOLOGY_KEY};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use placement::NumaNode;
use serde_json::{Value, json};

use super::*;
use crate::{NotIndexed, PodVolume, VolumePlace};

/// Claims, and the classes "fast" of ours and "foreign".
struct Cluster(HashMap<ObjectKey, Claim>, HashMap<&'static str, Class>);

impl Lookup for Cluster {
    fn claim(&self, key: &ObjectKey) -> Result<Option<&Claim>, NotIndexed> {
        Ok(self.0.get(key))
    }

    fn class(&self, name: &str) -> Result<Option<&Class>, NotIndexed> {
        Ok(self.1.get(name))
    }

    fn bound_volume(&self, _: &str) -> Option<VolumePlace<'_>> {
        None
    }

    fn volume(&self, name: &str) -> Option<VolumePlace<'_>> {
        let node = "a";
        (name == "pvc-uid-of-made").then_some(VolumePlace { node, numa: None })
    }

    fn knows_volume(&self, _: &str) -> Result<(), NotIndexed> {
        Ok(())
    }

    fn numa_of(&self, _: &PmemVolume) -> Option<NumaNode> {
        None
    }
}

fn class(provisioner: &str) -> Class {
    let class = json!({ "metadata": {}, "provisioner": provisioner, "volumeBindingMode": "WaitForFirstConsumer" });
    Class::from(&serde_json::from_value::<StorageClass>(class).unwrap())
}

/// A claim for 40 MiB, changed.
fn claim(name: &str, changes: &Value) -> (ObjectKey, Claim) {
    let mut claim = json!({
        "metadata": { "namespace": "ns", "name": name, "uid": format!("uid-of-{name}") },
        "spec": {
            "storageClassName": "fast", "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "40Mi" } },
        },
    });
    merge(&mut claim, changes);
    let claim: PersistentVolumeClaim = serde_json::from_value(claim).unwrap();
    (ObjectKey::of(&claim), Claim::from(&claim))
}

/// An available volume of 50 MiB on node "a", changed.
fn volume(name: &str, changes: &Value) -> Option<AvailableVolume> {
    let mut volume = json!({
        "metadata": { "name": name, "labels": { "tier": "old" } },
        "spec": {
            "storageClassName": "fast", "accessModes": ["ReadWriteOnce", "ReadWriteMany"], "capacity": { "storage": "50Mi" },
            "nodeAffinity": on(&["a"]),
        },
        "status": { "phase": "Available" },
    });
    merge(&mut volume, changes);
    AvailableVolume::of(&serde_json::from_value::<PersistentVolume>(volume).unwrap())
}

fn on(nodes: &[&str]) -> Value {
    terms(&[json!({ "matchExpressions": [{ "key": TOPOLOGY_KEY, "operator": "In", "values": nodes }] })])
}

fn terms(terms: &[Value]) -> Value {
    json!({ "required": { "nodeSelectorTerms": terms } })
}

fn merge(to: &mut Value, changes: &Value) {
    for (name, change) in changes.as_object().into_iter().flatten() {
        if change.is_object() && to[name].is_object() && name != "nodeAffinity" {
            merge(&mut to[name], change);
        } else {
            to[name] = change.clone();
        }
    }
}

/// "CLAIM on VOLUME" for each claim that is served on a node.
fn served(
    node: &str,
    claims: &[(ObjectKey, Claim)],
    volumes: &[Option<AvailableVolume>],
    promised: &[(&str, &str)],
) -> Vec<String> {
    let pod = Pod::new(
        "ns",
        "p",
        "uid-of-p",
        claims.iter().map(|(key, _)| PodVolume::Claim(&key.name)),
    );
    let classes = [("fast", class(DRIVER_NAME)), ("foreign", class("another"))].into();
    let cluster = Cluster(claims.iter().cloned().collect(), classes);
    let bindings = Bindings::new(
        &pod,
        &cluster,
        volumes.iter().flatten(),
        &promised.iter().copied().collect(),
    );
    let served = bindings.on(node).iter();
    served
        .map(|(key, served)| format!("{} on {}", key.name, served.volume))
        .collect()
}

#[test]
fn the_smallest_claim_takes_the_smallest_volume() {
    let size = |size: &str| json!({ "spec": { "resources": { "requests": { "storage": size } } } });
    let capacity = |size: &str| json!({ "spec": { "capacity": { "storage": size } } });
    let claims = [
        claim("a", &size("45Mi")),
        claim("b", &size("30Mi")),
        claim("c", &size("50Mi")),
    ];
    let volumes = [
        volume("large", &capacity("60Mi")),
        volume("small", &capacity("45Mi")),
        volume("tiny", &capacity("20Mi")),
    ];
    assert_eq!(served("a", &claims, &volumes, &[]), ["a on large", "b on small"]);
    assert_eq!(served("b", &claims, &volumes, &[]), [""; 0]);
}

#[test]
fn both_have_to_say_the_same() {
    let is_served = |claim_changes: &Value, volume_changes: &Value| {
        let changed = [claim("c", claim_changes)];
        !served("a", &changed, &[volume("v", volume_changes)], &[]).is_empty()
    };
    let any = json!({});
    assert!(is_served(&any, &any));
    for (of_claim, of_volume, both) in [
        (
            json!({ "spec": { "volumeMode": "Block" } }),
            json!({ "spec": { "volumeMode": "Block" } }),
            true,
        ),
        (
            json!({ "spec": { "volumeAttributesClassName": "gold" } }),
            json!({ "spec": { "volumeAttributesClassName": "gold" } }),
            true,
        ),
        (
            json!({ "metadata": { "annotations": { "volume.beta.kubernetes.io/storage-class": "foreign" } } }),
            json!({ "metadata": { "annotations": { "volume.beta.kubernetes.io/storage-class": "foreign" } } }),
            // Whoever makes volumes of that class.
            false,
        ),
        (
            json!({ "spec": { "selector": { "matchLabels": { "tier": "new" } } } }),
            json!({ "metadata": { "labels": { "tier": "new" } } }),
            true,
        ),
    ] {
        assert!(!is_served(&of_claim, &any), "{of_claim}");
        assert_eq!(is_served(&of_claim, &of_volume), both, "{of_claim}");
    }
    assert!(is_served(
        &json!({ "spec": { "accessModes": ["ReadWriteMany"] } }),
        &any
    ));
    assert!(!is_served(
        &json!({ "spec": { "accessModes": ["ReadWriteOncePod"] } }),
        &any
    ));
    assert!(!is_served(&json!({ "spec": { "volumeName": "v" } }), &any));
    let selected = json!({ "metadata": { "annotations": { "volume.kubernetes.io/selected-node": "a" } } });
    assert!(!is_served(&selected, &any));
    assert!(!is_served(&any, &json!({ "status": { "phase": "Released" } })));
    assert!(!is_served(
        &any,
        &json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" } })
    ));
    assert!(served("a", &[claim("made", &any)], &[volume("v", &any)], &[]).is_empty());
}

#[test]
fn what_is_kept_for_a_claim_is_its_own_wherever_it_is() {
    let kept = |uid: &str, storage: &str| {
        let claim = json!({ "namespace": "ns", "name": "c", "uid": uid });
        volume(
            "kept",
            &json!({ "spec": { "claimRef": claim, "storageClassName": "other", "capacity": { "storage": storage } } }),
        )
    };
    let claims = [claim("c", &json!({})), claim("d", &json!({}))];
    let smaller = volume("smaller", &json!({ "spec": { "capacity": { "storage": "40Mi" } } }));
    for uid in ["", "uid-of-c"] {
        let volumes = [smaller.clone(), kept(uid, "50Mi")];
        assert_eq!(
            served("a", &claims, &volumes, &[]),
            ["c on kept", "d on smaller"],
            "{uid:?}"
        );
        assert_eq!(served("b", &claims, &volumes, &[]), ["c on kept"], "{uid:?}");
    }
    let volumes = [kept("uid-of-an-earlier-one", "50Mi"), kept("", "39Mi")];
    assert_eq!(served("a", &claims, &volumes, &[]), [""; 0]);
    // What is about to be bound is kept as well.
    assert_eq!(
        served("a", &claims, std::slice::from_ref(&smaller), &[("smaller", "uid-of-d")]),
        ["d on smaller"]
    );
    assert_eq!(served("a", &claims, &[smaller], &[("smaller", "uid-of-e")]), [""; 0]);
}

#[test]
fn nodes_are_those_that_the_affinity_names() {
    let nodes = |affinity: &Value| {
        volume("v", &json!({ "spec": { "nodeAffinity": affinity } }))
            .unwrap()
            .nodes
    };
    let some = |nodes: &[&str]| Some(nodes.iter().map(|node| (*node).into()).collect());
    let by_name = json!({ "key": "kubernetes.io/hostname", "operator": "In", "values": ["b", "c"] });
    let ours = json!({ "key": TOPOLOGY_KEY, "operator": "In", "values": ["a", "b"] });
    let zone = json!({ "key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"] });
    let term = |expressions: &[&Value]| json!({ "matchExpressions": expressions });
    assert_eq!(nodes(&Value::Null), None);
    assert_eq!(nodes(&terms(&[term(&[&by_name])])), some(&["b", "c"]));
    assert_eq!(nodes(&terms(&[term(&[&by_name, &ours])])), some(&["b"]));
    assert_eq!(
        nodes(&terms(&[term(&[&by_name]), term(&[&ours])])),
        some(&["a", "b", "c"])
    );
    // Labels of nodes are not known.
    assert_eq!(nodes(&terms(&[term(&[&ours, &zone]), term(&[])])), some(&[]));
    let field = json!({ "matchExpressions": [ours], "matchFields": [{ "key": "metadata.name", "operator": "In", "values": ["a"] }] });
    assert_eq!(nodes(&terms(&[field])), some(&[]));
    let everywhere = [volume("v", &json!({ "spec": { "nodeAffinity": null } }))];
    assert_eq!(served("any", &[claim("c", &json!({}))], &everywhere, &[]), ["c on v"]);
}
