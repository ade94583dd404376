//! What nothing in a cluster tells of after etcd was restored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::api_server::{ApiServer, Key, Kind};
use crate::surroundings::text;

/// Volumes on nodes that have reported nothing since etcd was restored. An operator that is started then has seen no report of them,
/// and may have them made elsewhere. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Forgotten(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The volumes that a node held at the last restore.
    held: BTreeMap<String, BTreeSet<String>>,
    /// The version of the restore.
    restored_at: u64,
    forgotten: BTreeSet<(String, String)>,
}

impl Forgotten {
    /// etcd was restored while the nodes held these volumes.
    pub fn restored(&self, api: &ApiServer, held: BTreeMap<String, BTreeSet<String>>) {
        let mut state = self.state();
        state.held = held;
        state.restored_at = api.version();
    }

    /// An operator is started, which has seen nothing yet.
    pub fn operator_starts(&self, api: &ApiServer) {
        let mut state = self.state();
        let restored_at = state.restored_at;
        let has_reported = |node: &str| {
            let report = api.get(&Key::of(Kind::PmemNode, node));
            report.is_some_and(|report| version(&report) > restored_at)
        };
        let silent = state.held.iter().filter(|(node, _)| !has_reported(node));
        let held = silent.flat_map(|(node, held)| held.iter().map(|volume| (node.clone(), volume.clone())));
        let held: Vec<_> = held.collect();
        state.forgotten.extend(held);
    }

    /// Whether an operator could not know that a node has the volume.
    #[must_use]
    pub fn has(&self, node: &str, volume: &str) -> bool {
        self.state().forgotten.contains(&(node.to_owned(), volume.to_owned()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn version(object: &Value) -> u64 {
    text(object, "/metadata/resourceVersion").parse().unwrap_or_default()
}
