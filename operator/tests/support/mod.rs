//! Objects for tests.

#![allow(dead_code, reason = "each test uses a part of it")]

pub mod api_server;

use cluster::ObjectKey;
use cluster::watch::Indexes;
use crds::{PmemNode, PmemVolume};
use daxfit_operator::index::{Index, SharedIndex};
use k8s_openapi::api::core::v1::PersistentVolume;
use k8s_openapi::api::storage::v1::{CSINode, CSIStorageCapacity, StorageClass};
use kube::Resource;
use serde_json::json;

/// One region: NUMA node, free extents as (start, size) in MiB.
pub type Region<'a> = (Option<u32>, &'a [(u32, u32)]);

/// A node whose regions are ready and hand out space in steps of 2 MiB.
pub fn node(name: &str, regions: &[Region]) -> PmemNode {
    let mib = |n: u32| u64::from(n) << 20;
    let region = |(at, (numa, free)): (usize, &Region)| {
        let free: Vec<_> = free
            .iter()
            .map(|(start, size)| json!({"start": mib(*start), "size": mib(*size)}))
            .collect();
        json!({
            "id": format!("r{at}"), "device": format!("region{at}"), "bus": "NFIT", "numaNode": numa,
            "size": mib(512), "alignment": mib(2), "ways": 1, "persistenceDomain": "unknown",
            "state": "Ready", "free": free,
        })
    };
    let regions: Vec<_> = regions.iter().enumerate().map(region).collect();
    let node = json!({
        "apiVersion": "daxfit.dev/v1alpha1", "kind": "PmemNode",
        "metadata": {"name": name, "uid": format!("uid-of-{name}"), "resourceVersion": "1"},
        "status": {"layoutRevision": 7, "backend": "emulated", "regions": regions},
    });
    serde_json::from_value(node).unwrap()
}

/// A node with one region on NUMA node 0 that is one hole of `mib`.
pub fn plain_node(name: &str, mib: u32) -> PmemNode {
    node(name, &[(Some(0), &[(0, mib)])])
}

/// A volume of which its node has not said anything yet.
pub fn volume(name: &str, node: &str, mib: u32) -> PmemVolume {
    let volume = json!({
        "apiVersion": "daxfit.dev/v1alpha1", "kind": "PmemVolume",
        "metadata": {
            "name": name, "uid": format!("uid-of-{name}"), "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"node": node, "required": u64::from(mib) << 20, "mode": "fsdax"},
    });
    serde_json::from_value(volume).unwrap()
}

/// The same volume with this status.
pub fn with_status(mut volume: PmemVolume, status: serde_json::Value) -> PmemVolume {
    volume.status = Some(serde_json::from_value(status).unwrap());
    volume
}

/// The node reports that it keeps a volume of 28 MiB, of which it says this as well.
pub fn keeping(mut node: PmemNode, volume: &str, more: &serde_json::Value) -> PmemNode {
    let mut kept =
        json!({"name": volume, "footprint": {"start": 0, "size": 30 << 20}, "usable": 28 << 20, "mode": "fsdax"});
    for (key, value) in more.as_object().unwrap() {
        kept[key] = value.clone();
    }
    let region = &mut node.status.as_mut().unwrap().regions[0];
    region.volumes.push(volume.into());
    region.kept.push(serde_json::from_value(kept).unwrap());
    node
}

/// The node reports that it erases a volume.
pub fn erasing(mut node: PmemNode, volume: &str) -> PmemNode {
    let progress = json!({"name": volume, "done": 0, "total": 30 << 20});
    let region = &mut node.status.as_mut().unwrap().regions[0];
    region.volumes.push(volume.into());
    region.erasing.push(serde_json::from_value(progress).unwrap());
    node
}

/// A PersistentVolume of 28 MiB that names a volume on a node, and is bound to the claim "shop/data".
pub fn persistent_volume(volume: &str, node: &str) -> PersistentVolume {
    let affinity = json!({"key": crds::TOPOLOGY_KEY, "operator": "In", "values": [node]});
    let object = json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": format!("pv-of-{volume}"), "uid": format!("uid-of-pv-of-{volume}")},
        "spec": {
            "capacity": {"storage": "28Mi"},
            "persistentVolumeReclaimPolicy": "Delete",
            "csi": {
                "driver": crds::DRIVER_NAME, "volumeHandle": volume,
                "volumeAttributes": {"csi.daxfit.dev/mode": "sector"},
            },
            "claimRef": {"namespace": "shop", "name": "data", "uid": "uid-of-data"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [affinity]}]}},
        },
        "status": {"phase": "Bound"},
    });
    serde_json::from_value(object).unwrap()
}

/// A StorageClass of ours.
pub fn class(name: &str, parameters: &[(&str, &str)]) -> StorageClass {
    let parameters: serde_json::Map<_, _> = parameters
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    let class = json!({
        "metadata": {"name": name, "uid": format!("uid-of-{name}")},
        "provisioner": crds::DRIVER_NAME, "parameters": parameters,
    });
    serde_json::from_value(class).unwrap()
}

/// An index in which everything has been listed.
pub fn index(nodes: Vec<PmemNode>, volumes: Vec<PmemVolume>, classes: Vec<StorageClass>) -> SharedIndex {
    let shared = SharedIndex::default();
    shared.update(|index| {
        list(index, nodes);
        list(index, volumes);
        list(index, classes);
        list::<PersistentVolume>(index, vec![]);
        list::<CSIStorageCapacity>(index, vec![]);
        list::<CSINode>(index, vec![]);
    });
    shared
}

/// The watch of a kind lists exactly these objects.
pub fn list<K: Resource<DynamicType = ()>>(index: &mut Index, objects: Vec<K>)
where
    Index: Indexes<K>,
{
    let listed = objects.iter().map(ObjectKey::of).collect();
    for object in objects {
        index.apply(&object);
    }
    Indexes::<K>::reset(index, &listed);
}

/// The CSINode of a node, which lists our driver or none.
pub fn csi_node(name: &str, has_driver: bool) -> CSINode {
    let driver = json!({"name": crds::DRIVER_NAME, "nodeID": name, "topologyKeys": [crds::TOPOLOGY_KEY]});
    let drivers: Vec<_> = has_driver.then_some(driver).into_iter().collect();
    serde_json::from_value(json!({"metadata": {"name": name}, "spec": {"drivers": drivers}})).unwrap()
}

/// What a watch shows.
pub trait Watched<K> {
    /// The object is there, or has changed.
    fn apply(&self, object: K);
    /// The object was deleted.
    fn delete(&self, object: &K);
}

impl<K: Resource<DynamicType = ()>> Watched<K> for SharedIndex
where
    Index: Indexes<K>,
{
    fn apply(&self, object: K) {
        self.update(|index| index.apply(&object));
    }

    fn delete(&self, object: &K) {
        self.update(|index| Indexes::<K>::delete(index, &ObjectKey::of(object)));
    }
}
