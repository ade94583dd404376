//! Events on nodes that keep volumes which get no object.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crds::{MANAGED_BY, PmemNode};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};
use tracing::warn;

use super::decide::{Unnamed, unnamed_volumes};
use crate::index::SharedIndex;

/// A volume is reported only if it is there twice in a row: objects and reports come by different watches.
const PERIOD: Duration = Duration::from_secs(30);
/// So many are named in an event, which has at most 1,024 bytes; the others are counted.
const NAMED: usize = 5;

/// What is reported of one node.
type Report = ((String, Unnamed), BTreeSet<String>);

/// Records an event on each node whose volumes get no object, once, and again when other volumes come to it. It never
/// returns.
pub async fn run(client: Client, index: SharedIndex) {
    let mut before = BTreeMap::new();
    let mut told = BTreeSet::new();
    loop {
        let now = index.read(unnamed_volumes);
        let lasting: BTreeSet<Report> = now
            .clone()
            .into_iter()
            .filter(|(key, volumes)| before.get(key) == Some(volumes))
            .collect();
        for report in lasting.difference(&told) {
            record(&client, &index, report).await;
        }
        told = lasting;
        before = now;
        tokio::time::sleep(PERIOD).await;
    }
}

/// The text of the event: what that means, and what an administrator can do.
#[must_use]
pub fn advice(why: &Unnamed, volumes: &BTreeSet<String>) -> String {
    let named: Vec<&str> = volumes.iter().take(NAMED).map(String::as_str).collect();
    let mut list = named.join(", ");
    if volumes.len() > NAMED {
        list = format!("{list} and {} more", volumes.len() - NAMED);
    }
    match why {
        Unnamed::ByNobody => format!(
            "kept with their data, although no PersistentVolume names them on this node: {list}. Nothing erases them by \
             itself. To use one, make a PersistentVolume for it; to erase it, delete a PmemVolume that says so: \
             docs/troubleshooting.md, \"A volume that nobody names\", has both"
        ),
        Unnamed::Twice(nodes) => format!(
            "more than one namespace has the mark of {list} (on nodes {}), so nobody can tell which one is meant, and none is \
             used: destroy the one that does not belong there with ndctl",
            nodes.join(", ")
        ),
    }
}

async fn record(client: &Client, index: &SharedIndex, ((node, why), volumes): &Report) {
    let text = advice(why, volumes);
    warn!(node, "{text}");
    let event = Event {
        type_: EventType::Warning,
        reason: "VolumesKept".into(),
        note: Some(text),
        action: "KeepVolume".into(),
        secondary: None,
    };
    let node = ObjectReference {
        api_version: Some(PmemNode::api_version(&()).into()),
        kind: Some(PmemNode::kind(&()).into()),
        uid: index.read(|index| index.node_uid(node).map(Into::into)),
        name: Some(node.clone()),
        ..ObjectReference::default()
    };
    // It counts a repeated event without comparing its text, so each text has a recorder of its own.
    let recorder = Recorder::new(client.clone(), Reporter::from(MANAGED_BY));
    if let Err(error) = recorder.publish(&event, &node).await {
        warn!(error = program::chain(&error), "the event VolumesKept is not recorded");
    }
}
