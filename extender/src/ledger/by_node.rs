//! Which claims are promised space on which node.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A claim, and the decision that promises it space; none if it was given to the node.
type Entry = (Arc<str>, Option<u64>);

/// Which claims are promised space on which node.
#[derive(Debug, Default)]
pub(super) struct ByNode(HashMap<Arc<str>, BTreeSet<Entry>>);

impl ByNode {
    /// Each claim on a node once, with one of the decisions that promise it space; none if it was given.
    pub(super) fn claims(&self, node: &str) -> impl Iterator<Item = &Entry> {
        let mut last = None;
        let entries = self.0.get(node).into_iter().flatten();
        entries.filter(move |(uid, _)| last.replace(uid) != Some(uid))
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A decision promises a claim space on `nodes`.
    pub(super) fn put<'a>(&mut self, uid: &Arc<str>, by: Option<u64>, nodes: impl IntoIterator<Item = &'a Arc<str>>) {
        for node in nodes {
            let entries = self.0.entry(node.clone()).or_default();
            entries.insert((uid.clone(), by));
        }
    }

    /// A decision does not promise a claim space on `nodes` any more.
    pub(super) fn remove(&mut self, uid: &str, by: Option<u64>, nodes: &BTreeSet<Arc<str>>) {
        for node in nodes {
            if let Some(entries) = self.0.get_mut(node) {
                entries.remove(&(uid.into(), by));
                if entries.is_empty() {
                    self.0.remove(node);
                }
            }
        }
    }
}
