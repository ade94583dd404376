//! The garbage collector: what is owned by objects that are all gone is deleted. And pods of nodes that are gone.

use serde_json::Value;

use super::{after_each_change, text};
use crate::api_server::{ApiServer, Key, Kind};
use crate::dice::Dice;
use crate::oracle::Oracle;
use crate::users::force_delete_pod;

/// The kinds that have owners here.
const OWNED: [Kind; 4] = [
    Kind::PmemNode,
    Kind::Lease,
    Kind::CSIStorageCapacity,
    Kind::PersistentVolumeClaim,
];
/// The kinds that own.
const OWNERS: [Kind; 3] = [Kind::Node, Kind::PmemNode, Kind::Pod];

/// Collects for ever.
pub async fn run(api: ApiServer, dice: Dice, oracle: Oracle) {
    after_each_change(&api, &dice, || collect(&api, &oracle)).await;
}

fn collect(api: &ApiServer, oracle: &Oracle) {
    for kind in OWNED {
        for object in api.list(kind) {
            if is_orphan(api, &object) {
                let key = Key::in_namespace(
                    kind,
                    text(&object, "/metadata/namespace"),
                    text(&object, "/metadata/name"),
                );
                if kind == Kind::PersistentVolumeClaim {
                    oracle.give_up_claim(api, &object);
                }
                // Somebody else was faster.
                let _ = api.delete(&key);
            }
        }
    }
    for pod in api.list(Kind::Pod) {
        let node = text(&pod, "/spec/nodeName");
        if !node.is_empty() && api.get(&Key::of(Kind::Node, node)).is_none() {
            force_delete_pod(
                api,
                &Key::in_namespace(Kind::Pod, "default", text(&pod, "/metadata/name")),
            );
        }
    }
}

fn is_orphan(api: &ApiServer, object: &Value) -> bool {
    let owners = object["metadata"]["ownerReferences"].as_array();
    owners.is_some_and(|owners| !owners.is_empty() && owners.iter().all(|owner| !exists(api, owner)))
}

fn exists(api: &ApiServer, owner: &Value) -> bool {
    let of_kind = OWNERS.into_iter().filter(|kind| kind.name() == owner["kind"]);
    let mut keys = of_kind.map(|kind| Key {
        namespace: if kind == Kind::Pod {
            "default".into()
        } else {
            String::new()
        },
        ..Key::of(kind, text(owner, "/name"))
    });
    keys.any(|key| {
        api.get(&key)
            .is_some_and(|found| found["metadata"]["uid"] == owner["uid"])
    })
}
