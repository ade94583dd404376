//! An index with as much in it as a large cluster has.

use std::collections::HashSet;

use cluster::watch::Indexes;
use cluster::{Claim, Class, ObjectKey, Pod};
use crds::{PmemNode, PmemVolume};
use extender::state::State;
use extender::webhook::ObjectReader;
use k8s_openapi::api::core::v1::{self as core, PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::{CSINode, StorageClass};
use kube::Resource;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub const NODES: u64 = 5_000;
const VOLUMES_PER_NODE: u64 = 10;
/// One in ten volumes is not in the extents of its node yet.
const PENDING_ONE_IN: u64 = 10;
pub const UNBOUND_CLAIMS: u64 = 10_000;
const REGIONS: u64 = 2;
const MIB: u64 = 1 << 20;
/// Of one region.
const REGION_SIZE: u64 = 128 << 30;

/// Nobody to ask: everything is in the index.
pub struct NoApiServer;

impl ObjectReader for NoApiServer {
    async fn claim(&self, _: &ObjectKey) -> kube::Result<Option<Claim>> {
        Ok(None)
    }

    async fn class(&self, _: &str) -> kube::Result<Option<Class>> {
        Ok(None)
    }

    async fn volume(&self, _: &str) -> kube::Result<Option<PmemVolume>> {
        Ok(None)
    }

    async fn pod(&self, _: &ObjectKey) -> kube::Result<Option<Pod>> {
        Ok(None)
    }
}

pub fn node_name(node: u64) -> String {
    format!("pmem-node-{node:04}")
}

/// 5,000 nodes with two regions each, 50,000 volumes with their claims, and 10,000 claims without one.
pub fn state() -> serde_json::Result<State> {
    let mut state = State::default();
    fill::<StorageClass>(&mut state, std::iter::once(class()))?;
    fill::<CSINode>(&mut state, std::iter::empty())?;
    fill::<PmemNode>(&mut state, (0..NODES).map(node))?;
    let volumes = || (0..NODES * VOLUMES_PER_NODE).map(|n| (n, n / VOLUMES_PER_NODE));
    fill::<PmemVolume>(&mut state, volumes().map(volume))?;
    fill::<PersistentVolume>(&mut state, volumes().map(persistent_volume))?;
    let bound = volumes().map(|(n, _)| claim(&format!("bound-{n}"), 100, Some(&format!("pvc-bound-{n}"))));
    let unbound = (0..UNBOUND_CLAIMS).map(|n| claim(&format!("claim-{n}"), size_of_claim(n), None));
    fill::<PersistentVolumeClaim>(&mut state, bound.chain(unbound))?;
    fill::<core::Pod>(&mut state, std::iter::empty())?;
    Ok(state)
}

/// From 1 MiB to 64 GiB, each size from the last one by chance: some fit nearly everywhere, some nearly nowhere.
fn size_of_claim(n: u64) -> u64 {
    (1 << (mix(n) % 17)) + mix(n + 1) % 64
}

fn class() -> Value {
    json!({ "metadata": { "name": "fsdax" }, "provisioner": crds::DRIVER_NAME, "volumeBindingMode": "WaitForFirstConsumer" })
}

/// Five free extents in each region, none alike.
fn node(n: u64) -> Value {
    let region = |r: u64| {
        let hole = |h: u64| {
            let start = h * (REGION_SIZE / 5);
            json!({ "start": start, "size": 2 * MIB * (1 + mix(n * 31 + r * 7 + h) % 12_000) })
        };
        json!({
            "id": format!("8089-a2-2{n:04}-0000{r}"), "device": format!("region{r}"), "bus": "NFIT", "numaNode": r,
            "size": REGION_SIZE, "alignment": 2 * MIB, "ways": 1, "persistenceDomain": "memory-controller",
            "state": "Ready", "free": (0..5).map(hole).collect::<Vec<_>>(),
        })
    };
    json!({
        "apiVersion": "daxfit.dev/v1alpha1", "kind": "PmemNode", "metadata": { "name": node_name(n) },
        "status": { "layoutRevision": 10, "backend": "libndctl", "regions": (0..REGIONS).map(region).collect::<Vec<_>>() },
    })
}

fn volume((n, on): (u64, u64)) -> Value {
    let revision = if n % PENDING_ONE_IN == 0 { None } else { Some(9) };
    json!({
        "apiVersion": "daxfit.dev/v1alpha1", "kind": "PmemVolume",
        "metadata": { "name": format!("pvc-bound-{n}"), "creationTimestamp": "2026-01-01T00:00:00Z" },
        "spec": {
            "node": node_name(on), "required": 100 * MIB, "mode": "fsdax",
            "claim": { "namespace": "ns", "name": format!("bound-{n}") },
        },
        "status": { "phase": "Ready", "region": format!("8089-a2-2{on:04}-00000"), "layoutRevision": revision },
    })
}

fn persistent_volume((n, on): (u64, u64)) -> Value {
    json!({
        "metadata": { "name": format!("pvc-bound-{n}") },
        "spec": {
            "csi": { "driver": crds::DRIVER_NAME, "volumeHandle": format!("pvc-bound-{n}") },
            "nodeAffinity": { "required": { "nodeSelectorTerms": [{ "matchExpressions": [
                { "key": crds::TOPOLOGY_KEY, "operator": "In", "values": [node_name(on)] }
            ] }] } },
        },
    })
}

fn claim(name: &str, mib: u64, volume: Option<&str>) -> Value {
    json!({
        "metadata": { "namespace": "ns", "name": name, "uid": format!("00000000-0000-0000-0000-{name:0>12}") },
        "spec": {
            "storageClassName": "fsdax", "volumeName": volume,
            "resources": { "requests": { "storage": format!("{mib}Mi") } },
        },
    })
}

/// Applies all objects one by one, as a first list does.
fn fill<K: Resource + DeserializeOwned>(
    state: &mut State,
    objects: impl Iterator<Item = Value>,
) -> serde_json::Result<()>
where
    State: Indexes<K>,
{
    let mut listed = HashSet::new();
    for object in objects {
        let object: K = serde_json::from_value(object)?;
        listed.insert(ObjectKey::of(&object));
        state.apply(&object);
    }
    Indexes::<K>::reset(state, &listed);
    Ok(())
}

/// The same numbers in every run (the finalizer of `SplitMix64`).
pub fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}
