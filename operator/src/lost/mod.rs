//! Volumes whose node is gone.
//!
//! Only the driver on that node can say that the bytes of a volume are zero, so nothing of such a volume is ever
//! removed here: its PmemVolume stays, also when it is deleted, until the node comes back under the same name or an
//! administrator decides. This says so, in an event on the PmemVolume.

use std::collections::BTreeSet;
use std::time::Duration;

use crds::{FINALIZER, PmemVolume};
use k8s_openapi::api::core::v1::Node;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Api, Client, Resource, ResourceExt};
use tracing::warn;

use crate::chain::chain;
use crate::index::{Index, SharedIndex};

/// How often nodes without PmemNode are looked up.
const PERIOD: Duration = Duration::from_secs(30);

/// A volume on a node that has no PmemNode.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stranded {
    /// The node.
    pub node: String,
    /// The volume.
    pub volume: String,
    /// Its uid.
    pub uid: String,
    /// Whether it is being deleted.
    pub deleting: bool,
}

/// Publishes an event for each volume whose Node does not exist, once, and once more when it is deleted; for ever.
pub async fn run(client: Client, recorder: Recorder, index: SharedIndex) {
    let nodes: Api<Node> = Api::all(client);
    let mut told = BTreeSet::new();
    loop {
        let now = index.read(stranded);
        told.retain(|known| now.contains(known));
        let lost = lost_nodes(&nodes, &now).await;
        for volume in now.into_iter().filter(|volume| lost.contains(&volume.node)) {
            if told.insert(volume.clone()) {
                tell(&recorder, &index, &volume).await;
            }
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Volumes on nodes that have no PmemNode: the Node may be gone, or its driver has not said anything yet.
#[must_use]
pub fn stranded(index: &Index) -> BTreeSet<Stranded> {
    if !index.synced() {
        return BTreeSet::new();
    }
    let on_unknown = index.volumes().filter(|v| index.node_uid(&v.spec.node).is_none());
    on_unknown.map(Stranded::of).collect()
}

impl Stranded {
    fn of(volume: &PmemVolume) -> Self {
        Self {
            node: volume.spec.node.clone(),
            volume: volume.name_any(),
            uid: volume.uid().unwrap_or_default(),
            deleting: volume.metadata.deletion_timestamp.is_some(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> String {
        let Self { node, volume, .. } = self;
        let what = if self.deleting {
            "the volume cannot be erased there"
        } else {
            "the volume cannot be reached"
        };
        format!(
            "Node {node} does not exist: {what}. If it comes back under this name, its driver goes on with the \
             volume. If its memory is gone for good, delete the volume's claim, then run: kubectl patch pmemvolume \
             {volume} --type=json -p='[{{\"op\":\"remove\",\"path\":\"/metadata/finalizers\"}}]' (this gives up \
             finalizer {FINALIZER}: nobody will erase the bytes)"
        )
    }
}

/// Which of the nodes do not exist. One that cannot be looked up counts as existing.
async fn lost_nodes(nodes: &Api<Node>, stranded: &BTreeSet<Stranded>) -> BTreeSet<String> {
    let names: BTreeSet<&String> = stranded.iter().map(|volume| &volume.node).collect();
    let mut lost = BTreeSet::new();
    for name in names {
        match nodes.get_metadata_opt(name).await {
            Ok(Some(_)) => {}
            Ok(None) => {
                lost.insert(name.clone());
            }
            Err(error) => warn!(node = name, error = chain(&error), "node not looked up, trying again"),
        }
    }
    lost
}

async fn tell(recorder: &Recorder, index: &SharedIndex, lost: &Stranded) {
    warn!(volume = lost.volume, "{}", lost.advice());
    let Some(volume) = index.read(|index| index.volume(&lost.volume).cloned()) else {
        return;
    };
    let event = Event {
        type_: EventType::Warning,
        reason: "NodeGone".into(),
        note: Some(lost.advice()),
        action: if lost.deleting { "EraseVolume" } else { "ReachVolume" }.into(),
        secondary: None,
    };
    if let Err(error) = recorder.publish(&event, &volume.object_ref(&())).await {
        warn!(error = chain(&error), "event not published");
    }
}
