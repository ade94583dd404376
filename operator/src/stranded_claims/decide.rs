//! Which claims wait for a node without a driver, and since when.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cluster::{Claim, Class};

use crate::index::Index;

/// A driver that is exchanged or killed is back within this time, and makes what was asked for.
const GRACE: Duration = Duration::from_secs(120);

/// The nodes without a driver, and since when.
#[derive(Clone, Debug, Default)]
pub struct Absences {
    since: BTreeMap<String, Instant>,
    now: Option<Instant>,
}

impl Absences {
    /// These nodes have no driver at `now`.
    pub fn look(&mut self, nodes: &[String], now: Instant) {
        self.now = Some(now);
        self.since.retain(|node, _| nodes.contains(node));
        for node in nodes {
            self.since.entry(node.clone()).or_insert(now);
        }
    }

    /// The nodes that have had no driver for long enough.
    pub fn overdue(&self) -> impl Iterator<Item = &str> {
        let nodes = self.since.keys().map(String::as_str);
        nodes.filter(|node| self.is_overdue(node))
    }

    fn is_overdue(&self, node: &str) -> bool {
        let since = self.since.get(node).zip(self.now);
        since.is_some_and(|(since, now)| now.saturating_duration_since(*since) >= GRACE)
    }
}

/// Whether a claim waits for a node that has had no driver for too long, and nothing that was made for it is known of.
#[must_use]
pub fn is_stranded(claim: &Claim, absences: &Absences, index: &Index) -> bool {
    let class = claim.class.as_deref().and_then(|class| index.class(class));
    let waits_for_pod = class.and_then(Class::ours).is_some_and(|class| class.waits_for_pod);
    let volume = claim.volume_name();
    waits_for_pod
        && claim.persistent_volume.is_none()
        && claim
            .selected_node
            .as_deref()
            .is_some_and(|node| absences.is_overdue(node))
        && index.newest_volume(&volume).is_none()
        && index.reports_of(&volume).is_empty()
}
