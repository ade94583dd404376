//! Objects for tests, of this crate and under `tests/`.

#![allow(clippy::expect_used, dead_code, reason = "no test file needs all of them")]

use cluster::{Pod, PodVolume};
use crds::{PmemNode, PmemVolume};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::{Value, from_value, json};

/// A node with a region of 512 MiB for each list of free extents (start and size in MiB), on NUMA 0, 1, …
pub fn node(name: &str, revision: i64, regions: &[&[(u32, u32)]]) -> PmemNode {
    let free = |free: &[(u32, u32)]| -> Vec<Value> {
        let mib = |n: u32| u64::from(n) << 20;
        free.iter()
            .map(|(start, size)| json!({ "start": mib(*start), "size": mib(*size) }))
            .collect()
    };
    let region = |(numa, extents): (usize, &&[(u32, u32)])| {
        json!({
            "id": format!("r{numa}"), "device": format!("region{numa}"), "bus": "NFIT", "numaNode": numa,
            "size": 512 << 20, "alignment": 2 << 20, "ways": 1, "persistenceDomain": "memory-controller",
            "state": "Ready", "free": free(extents),
        })
    };
    let regions: Vec<Value> = regions.iter().enumerate().map(region).collect();
    object(json!({
        "apiVersion": "daxfit.dev/v1alpha1", "kind": "PmemNode", "metadata": { "name": name },
        "status": { "layoutRevision": revision, "backend": "emulated", "regions": regions },
    }))
}

/// A fsdax volume that its node has not seen yet.
pub fn volume(name: &str, node: &str, mib: u32) -> PmemVolume {
    object(json!({
        "apiVersion": "daxfit.dev/v1alpha1", "kind": "PmemVolume", "metadata": { "name": name },
        "spec": { "node": node, "required": u64::from(mib) << 20, "mode": "fsdax" },
    }))
}

/// An unbound claim with the unique id "uid-of-NAME".
pub fn claim(namespace: &str, name: &str, class: &str, request: &str) -> PersistentVolumeClaim {
    object(json!({
        "metadata": { "namespace": namespace, "name": name, "uid": format!("uid-of-{name}") },
        "spec": { "storageClassName": class, "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": request } } },
    }))
}

/// A class of ours.
pub fn class(name: &str, parameters: &[(&str, &str)]) -> StorageClass {
    let parameters: serde_json::Map<String, Value> = parameters
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()))
        .collect();
    object(json!({
        "metadata": { "name": name }, "provisioner": crds::DRIVER_NAME, "parameters": parameters,
        "volumeBindingMode": "WaitForFirstConsumer",
    }))
}

/// A `PersistentVolume` of ours.
pub fn persistent_volume(name: &str, handle: &str, node: Option<&str>) -> PersistentVolume {
    let affinity = node.map(|node| {
        json!({ "required": { "nodeSelectorTerms": [{ "matchExpressions": [
            { "key": crds::TOPOLOGY_KEY, "operator": "In", "values": [node] }
        ] }] } })
    });
    object(json!({
        "metadata": { "name": name },
        "spec": { "csi": { "driver": crds::DRIVER_NAME, "volumeHandle": handle }, "nodeAffinity": affinity },
    }))
}

/// A `PersistentVolume` of ours that no claim is bound to any more.
pub fn available(name: &str, class: &str, capacity: &str, node: &str) -> PersistentVolume {
    let mut volume = persistent_volume(name, name, Some(node));
    volume.status = object(json!({ "phase": "Available" }));
    let spec = volume.spec.as_mut().expect("it has one");
    spec.storage_class_name = Some(class.into());
    spec.access_modes = Some(vec!["ReadWriteOnce".into()]);
    spec.capacity = object(json!({ "storage": capacity }));
    volume
}

/// The pod "ns/p" with these claims.
pub fn pod(claims: &[&str]) -> Pod {
    pod_named("p", claims)
}

/// A pod in "ns" with these claims, and the unique id "uid-of-NAME".
pub fn pod_named(name: &str, claims: &[&str]) -> Pod {
    let volumes = claims.iter().map(|claim| PodVolume::Claim(claim));
    Pod::new("ns", name, &format!("uid-of-{name}"), volumes)
}

/// The claim with the selected node that kube-scheduler writes.
pub fn selected(mut claim: PersistentVolumeClaim, node: &str) -> PersistentVolumeClaim {
    let annotation = (cluster::names::SELECTED_NODE.to_owned(), node.to_owned());
    claim.metadata.annotations = Some([annotation].into());
    claim
}

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    from_value(value).expect("a valid object")
}
