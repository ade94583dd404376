//! Events on volumes whose node is gone.
//!
//! Only the driver on that node can erase a volume, so nothing of such a volume is ever removed here: its PmemVolume stays,
//! also when DeleteVolume was called and its finalizer holds it, until the node comes back under the same name or an
//! administrator decides. The event on the PmemVolume explains that.

use std::collections::BTreeSet;
use std::time::Duration;

use crds::{FINALIZER, PmemVolume};
use k8s_openapi::api::core::v1::Node;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Api, Client, Resource, ResourceExt};
use tracing::warn;

use crate::index::{Index, SharedIndex};

/// How often the nodes without PmemNode are looked up at the API server.
const PERIOD: Duration = Duration::from_secs(30);

/// A volume on a node that has no PmemNode.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrphanedVolume {
    /// The name of the node.
    pub node: String,
    /// The name of the volume.
    pub volume: String,
    /// Its uid.
    pub uid: String,
    /// Whether it is being deleted.
    pub deleting: bool,
}

/// Records an event on each volume whose Node does not exist, once, and once more when the volume is deleted. It never
/// returns.
pub async fn run(client: Client, recorder: Recorder, index: SharedIndex) {
    let nodes: Api<Node> = Api::all(client);
    let mut seen = BTreeSet::new();
    loop {
        let now = index.read(orphaned);
        seen.retain(|volume| now.contains(volume));
        let missing = missing_nodes(&nodes, &now).await;
        for volume in now.into_iter().filter(|volume| missing.contains(&volume.node)) {
            if seen.insert(volume.clone()) {
                record(&recorder, &index, &volume).await;
            }
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Volumes on nodes that have no PmemNode: the Node may be gone, or its driver has not reported yet. Empty until the index
/// is synced.
#[must_use]
pub fn orphaned(index: &Index) -> BTreeSet<OrphanedVolume> {
    if !index.synced() {
        return BTreeSet::new();
    }
    let orphaned = index
        .volumes()
        .filter(|volume| index.node_uid(&volume.spec.node).is_none());
    orphaned.map(OrphanedVolume::of).collect()
}

impl OrphanedVolume {
    fn of(volume: &PmemVolume) -> Self {
        Self {
            node: volume.spec.node.clone(),
            volume: volume.name_any(),
            uid: volume.uid().unwrap_or_default(),
            deleting: volume.metadata.deletion_timestamp.is_some(),
        }
    }

    /// The text of the event: what that means, and what an administrator can do.
    #[must_use]
    pub fn advice(&self) -> String {
        let Self { node, volume, .. } = self;
        let (what, give_up) = if self.deleting {
            ("erased there", "run")
        } else {
            ("reached", "delete the volume's claim, then run")
        };
        format!(
            "Node {node} does not exist: the volume cannot be {what}. If it comes back under this name, its driver goes on \
             with the volume. If its memory is gone for good, {give_up}: kubectl patch pmemvolume {volume} --type=merge \
             -p='{{\"metadata\":{{\"finalizers\":null}}}}' (this gives up finalizer {FINALIZER}: nobody will erase the bytes)"
        )
    }
}

/// Which of the nodes do not exist. One that cannot be looked up counts as existing.
async fn missing_nodes(nodes: &Api<Node>, orphaned: &BTreeSet<OrphanedVolume>) -> BTreeSet<String> {
    let names: BTreeSet<&String> = orphaned.iter().map(|volume| &volume.node).collect();
    let mut missing = BTreeSet::new();
    for name in names {
        match nodes.get_metadata_opt(name).await {
            Ok(Some(_)) => {}
            Ok(None) => {
                missing.insert(name.clone());
            }
            Err(error) => warn!(
                node = name,
                error = program::chain(&error),
                "node not looked up, trying again"
            ),
        }
    }
    missing
}

async fn record(recorder: &Recorder, index: &SharedIndex, orphaned: &OrphanedVolume) {
    warn!(volume = orphaned.volume, "{}", orphaned.advice());
    let Some(volume) = index.read(|index| index.volume(&orphaned.volume).cloned()) else {
        return;
    };
    let event = Event {
        type_: EventType::Warning,
        reason: "NodeGone".into(),
        note: Some(orphaned.advice()),
        action: if orphaned.deleting {
            "EraseVolume"
        } else {
            "ReachVolume"
        }
        .into(),
        secondary: None,
    };
    if let Err(error) = recorder.publish(&event, &volume.object_ref(&())).await {
        warn!(
            error = program::chain(&error),
            "the event about a volume without a node is not recorded"
        );
    }
}
