//! Which volumes that exist kube-scheduler binds claims to (`findMatchingVolumes`, `FindMatchingVolume`).

use std::collections::BTreeMap;
use std::sync::Arc;

use cluster::names::SELECTED_NODE;
use crds::bytes_of_quantity;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use placement::Bytes;
use serde_json::Value;

use super::{is_deleted, node_of, text};
use crate::api_server::{ApiServer, Key, Kind};

/// For each of the claims that is bound to a volume that exists if its pod goes to the node of this topology, the name of the volume,
/// by the unique id of the claim. Not for those that show a node, and no volume that is `assumed` for another claim, by name.
#[must_use]
pub fn volumes_for(
    api: &ApiServer,
    claims: &[Arc<Value>],
    place: &str,
    assumed: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut open: Vec<&Arc<Value>> = claims.iter().filter(|claim| is_open(api, claim)).collect();
    open.sort_by_key(|claim| bytes(claim, "/spec/resources/requests/storage"));
    let mut volumes = api.list(Kind::PersistentVolume);
    volumes.retain(|volume| text(volume, "/status/phase") == "Available" && !is_deleted(volume));
    volumes.sort_by_key(|volume| bytes(volume, "/spec/capacity/storage"));
    let mut chosen = BTreeMap::new();
    for claim in open {
        let uid = text(claim, "/metadata/uid");
        let found = volumes.iter().position(|volume| {
            let assumed_for = assumed.get(text(volume, "/metadata/name")).map(String::as_str);
            let bound_to = assumed_for.or(volume["spec"]["claimRef"]["uid"].as_str());
            node_of(volume) == place && bound_to.is_none_or(|bound_to| bound_to == uid) && is_alike(volume, claim)
        });
        if let Some(found) = found {
            let volume = volumes.remove(found);
            chosen.insert(uid.to_owned(), text(&volume, "/metadata/name").to_owned());
        }
    }
    chosen
}

fn is_open(api: &ApiServer, claim: &Value) -> bool {
    let class = api.get(&Key::of(Kind::StorageClass, text(claim, "/spec/storageClassName")));
    text(claim, "/spec/volumeName").is_empty()
        && !claim["metadata"]["annotations"][SELECTED_NODE].is_string()
        && class.is_some_and(|class| text(&class, "/volumeBindingMode") == "WaitForFirstConsumer")
}

fn is_alike(volume: &Value, claim: &Value) -> bool {
    ["storageClassName", "volumeMode", "accessModes"]
        .iter()
        .all(|field| volume["spec"][field] == claim["spec"][field])
        && bytes(volume, "/spec/capacity/storage") >= bytes(claim, "/spec/resources/requests/storage")
}

/// A quantity in an object.
pub(super) fn bytes(object: &Value, pointer: &str) -> Bytes {
    bytes_of_quantity(&Quantity(text(object, pointer).into())).unwrap_or(Bytes::ZERO)
}
