//! Which claims have a reservation on which node.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A claim's unique id, and the number of the decision that its reservation is part of; none if it is assigned.
type Entry = (Arc<str>, Option<u64>);

#[derive(Debug, Default)]
pub(super) struct ByNode(HashMap<Arc<str>, BTreeSet<Entry>>);

impl ByNode {
    /// Each claim on a node once: as assigned if it is that too, else with the oldest of its decisions.
    pub(super) fn claims(&self, node: &str) -> impl Iterator<Item = &Entry> {
        let mut last = None;
        let entries = self.0.get(node).into_iter().flatten();
        entries.filter(move |(uid, _)| last.replace(uid) != Some(uid))
    }

    pub(super) fn put<'a>(
        &mut self,
        uid: &Arc<str>,
        decision: Option<u64>,
        nodes: impl IntoIterator<Item = &'a Arc<str>>,
    ) {
        for node in nodes {
            let entries = self.0.entry(node.clone()).or_default();
            entries.insert((uid.clone(), decision));
        }
    }

    pub(super) fn remove(&mut self, uid: &str, decision: Option<u64>, nodes: &BTreeSet<Arc<str>>) {
        for node in nodes {
            if let Some(entries) = self.0.get_mut(node) {
                entries.remove(&(uid.into(), decision));
                if entries.is_empty() {
                    self.0.remove(node);
                }
            }
        }
    }
}
