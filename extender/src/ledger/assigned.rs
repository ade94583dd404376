//! Claims that show a selected node and have no volume, and those of which nothing comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::decision::Stage;
use super::{ChangedNodes, Ledger, Reservation};

/// An assigned reservation is neglected if its pod does not name the node, and no volume is made so long after the claim showed the
/// node, or after a claim that showed one earlier got its volume. As long as kube-scheduler waits for volumes (`bindTimeoutSeconds`).
pub const NEGLECTED_AFTER: Duration = Duration::from_secs(600);

/// What is reserved for a claim on its selected node.
#[derive(Clone, Debug)]
pub(super) struct Assigned {
    pub node: Arc<str>,
    pub reservation: Arc<Reservation>,
    /// When it came, by number.
    order: u64,
    /// None until the next call of [`Ledger::expire`].
    since: Option<Instant>,
    has_ended: bool,
}

/// A claim that shows a selected node on which no volume is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neglected {
    /// The selected node.
    pub node: Arc<str>,
    /// What is reserved there.
    pub reservation: Arc<Reservation>,
}

impl Assigned {
    pub fn new(node: Arc<str>, reservation: Arc<Reservation>, order: u64) -> Self {
        Self {
            node,
            reservation,
            order,
            since: None,
            has_ended: false,
        }
    }

    /// Whether it is still reserved.
    pub fn counts(&self) -> bool {
        !self.has_ended
    }
}

impl Ledger {
    /// A claim gets its volume: those that came after it may have been waiting for that.
    pub(super) fn is_provisioned(&mut self, uid: &str) {
        let order = self.assigned.get(uid).map(|assigned| assigned.order);
        self.provisioned = self.provisioned.into_iter().chain(order).min();
    }

    pub(super) fn expire_assigned(&mut self, now: Instant) {
        let provisioned = self.provisioned.take();
        for assigned in self.assigned.values_mut() {
            if provisioned.is_some_and(|order| order < assigned.order) {
                assigned.since = None;
            }
        }
        let named: Vec<Arc<str>> = self.assigned.keys().filter(|uid| self.is_named(uid)).cloned().collect();
        for uid in named {
            if let Some(assigned) = self.assigned.get_mut(&uid) {
                assigned.since = None;
            }
        }
        for assigned in self.assigned.values_mut() {
            assigned.since.get_or_insert(now);
        }
    }

    /// Whether a pod names the node for which the claim is reserved.
    fn is_named(&self, uid: &str) -> bool {
        let mut decisions = self.decisions_of(uid);
        decisions.any(|(_, decision)| decision.stage == Stage::Nominated)
    }

    /// The assigned reservations that seem to be neglected at `now`. Whether they are has to be read from the API server.
    #[must_use]
    pub fn neglected(&self, now: Instant) -> Vec<Neglected> {
        let is_late = |since: Instant| since + NEGLECTED_AFTER <= now;
        let late = self
            .assigned
            .values()
            .filter(|assigned| assigned.counts() && assigned.since.is_some_and(is_late));
        let neglected = late.map(|assigned| Neglected {
            node: assigned.node.clone(),
            reservation: assigned.reservation.clone(),
        });
        neglected.collect()
    }

    /// It was read that nothing is done about a claim: its reservation ends, until the claim shows another node. False if something
    /// was done meanwhile.
    pub fn end_neglected(&mut self, neglected: &Neglected) -> (bool, ChangedNodes) {
        let Some(assigned) = self.assigned.get_mut(&neglected.reservation.uid) else {
            return (false, ChangedNodes::new());
        };
        if assigned.has_ended || assigned.node != neglected.node {
            return (false, ChangedNodes::new());
        }
        assigned.has_ended = true;
        let node = [assigned.node.clone()].into();
        self.by_node.remove(&neglected.reservation.uid, None, &node);
        (true, node)
    }

    /// It was read that something is done about a claim, which the watches do not show yet.
    pub fn is_not_neglected(&mut self, neglected: &Neglected) {
        if let Some(assigned) = self.assigned.get_mut(&neglected.reservation.uid) {
            assigned.since = None;
        }
    }
}
