//! What administrators change by hand: objects that others write, classes that claims name, labels of nodes.

use std::time::Duration;

use crds::TOPOLOGY_KEY;
use serde_json::{Value, json};

use crate::api_server::{ApiServer, Key, Kind};
use crate::time::later;
use crate::world::{CLASSES, World};

/// A change of a PmemVolume by hand. What says where it is stays: if that is lost while its region is away, nobody can tell it
/// from a new volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumeEdit {
    /// It is said to be in another phase.
    Phase(&'static str),
    /// Nothing holds it any more.
    NoFinalizers,
    /// What was noted on it goes.
    NoAnnotations,
}

impl VolumeEdit {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Phase("Provisioning"),
        Self::Phase("Refused"),
        Self::NoFinalizers,
        Self::NoAnnotations,
    ];

    /// Does it. What the schema does not allow is refused, as people are.
    pub fn apply(self, world: &World, key: &Key) {
        let api = &world.api;
        if matches!(self, Self::NoFinalizers | Self::NoAnnotations) {
            // What says that it is to be erased, and sees to it.
            world.oracle.is_kept_by_hand(&key.name);
        }
        let _ = match self {
            Self::Phase(phase) => api.update_status(key, |status| status["phase"] = json!(phase)),
            Self::NoFinalizers => api.update(key, |volume| volume["metadata"]["finalizers"] = json!([])),
            Self::NoAnnotations => api.update(key, |volume| volume["metadata"]["annotations"] = json!({})),
        };
    }
}

/// Somebody writes over what a node reported.
pub fn edit_report(api: &ApiServer, key: &Key, number: usize) {
    let _ = api.update_status(key, |status| match number % 3 {
        0 => *status = Value::Null,
        1 => status["regions"] = json!([]),
        _ => {
            for region in status["regions"].as_array_mut().into_iter().flatten() {
                region["free"] = json!([{ "start": 0, "size": 1 << 30 }]);
            }
        }
    });
}

/// A class is deleted, and made anew with another mode.
pub fn change_class(api: &ApiServer, number: usize) {
    let key = Key::of(Kind::StorageClass, CLASSES[number % CLASSES.len()].name);
    let Some(class) = api.get(&key) else { return };
    let mut class = (*class).clone();
    let mode = &mut class["parameters"]["csi.daxfit.dev/mode"];
    *mode = if *mode == "sector" {
        json!("fsdax")
    } else {
        json!("sector")
    };
    class["metadata"] = json!({});
    let _ = api.delete(&key);
    let _ = api.create(key, class);
}

/// A node loses the label that says where it is, for a while.
pub fn relabel(api: &ApiServer, key: &Key, long: Duration) {
    let label = |node: &mut Value, value: Value| node["metadata"]["labels"][TOPOLOGY_KEY] = value;
    let _ = api.update(key, |node| label(node, Value::Null));
    let (api, key) = (api.clone(), key.clone());
    later(long, move || {
        let _ = api.update(&key, |node| label(node, json!(key.name)));
    });
}
