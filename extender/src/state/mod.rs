//! What the cluster shows and what was decided, and the free space of each node that follows from both.
//!
//! [`State`] owns the [`Index`], the [`Ledger`] and the [`WaitingPods`], which do not know each other. Everything is synchronous but the pumps
//! ([`watch_all`]), which carry watch events into it.

mod expiry;
mod follow;
mod node_space;
mod node_table;
mod objects;
mod shared;
mod waiting;
mod watch;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use cluster::{Bindings, Claim, Lookup, Pod};
use placement::PreparedNode;

use crate::index::Index;
use crate::ledger::{Doubt, Finding, Ledger, Neglected, Reservation};
use crate::waiting::WaitingPods;

use node_table::NodeTable;

pub use expiry::expire_reservations;
pub use node_space::NodeSpace;
use node_space::has_more_room;
pub use objects::Kind;
pub use shared::SharedState;
pub use watch::watch_all;

/// What the cluster shows and what was decided.
#[derive(Debug, Default)]
pub struct State {
    index: Index,
    ledger: Ledger,
    waiting: WaitingPods,
    /// Of each node that reported its space; always what follows from the index and the ledger.
    spaces: NodeTable,
    /// The kinds of which there was a complete list.
    listed: BTreeSet<Kind>,
}

impl State {
    /// An empty index beside this ledger.
    #[must_use]
    pub fn new(ledger: Ledger) -> Self {
        Self {
            ledger,
            ..Self::default()
        }
    }

    /// What the cluster shows.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// What is reserved.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The space of a node, if it reported any.
    #[must_use]
    pub fn space(&self, node: &str) -> Option<&NodeSpace> {
        self.spaces.get(node)
    }

    /// The free space of a node if nothing were reserved for the claims with these unique ids.
    #[must_use]
    pub fn free_without(&self, node: &str, claims: &[&str]) -> Option<PreparedNode> {
        let reserved = self.ledger.reservations_on(node).map(|(reservation, _)| reservation);
        let others = reserved.filter(|reservation| !claims.contains(&&*reservation.uid));
        node_space::free_space(self.index.node(node)?, others)
    }

    /// The names of the nodes that reported their space, in no particular order.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        self.spaces.names()
    }

    /// The volumes that exist and that kube-scheduler binds claims of `pod` to, on each node. Not those that it is about to bind to
    /// claims of other pods.
    #[must_use]
    pub fn bindings(&self, pod: &Pod, lookup: &impl Lookup) -> Bindings {
        let mut volumes = self.index.available_volumes().peekable();
        if volumes.peek().is_none() {
            return Bindings::default();
        }
        Bindings::new(pod, lookup, volumes, &self.ledger.promised_to_other_pods(&pod.uid))
    }

    /// Whether every kind was listed once.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.unlisted().is_empty()
    }

    /// The kinds that were not listed yet.
    #[must_use]
    pub fn unlisted(&self) -> Vec<Kind> {
        let kinds = Kind::ALL.into_iter();
        kinds.filter(|kind| !self.listed.contains(kind)).collect()
    }

    /// Reserves space for the claims of `pod` on each of `nodes`: see [`Ledger::reserve`].
    pub fn reserve(&mut self, pod: &Pod, reservations: &[Arc<Reservation>], nodes: &[&str], now: Instant) {
        let changed = self.ledger.reserve(pod, reservations, nodes, now);
        self.refresh_free(&changed);
    }

    /// kube-scheduler asks for `pod`: see [`Ledger::gang_asked`]. Whether something is not reserved any more.
    pub fn gang_asked(&mut self, pod: &Pod) -> bool {
        let changed = self.ledger.gang_asked(pod);
        self.refresh_free(&changed);
        !changed.is_empty()
    }

    /// Only `nodes` are left for the claims of `pod`: see [`Ledger::narrow`].
    pub fn narrow(&mut self, pod: &str, claims: &[&str], nodes: &[&str]) {
        let changed = self.ledger.narrow(pod, claims, nodes);
        self.refresh_free(&changed);
    }

    /// Ends the tentative reservations whose time is up, and forgets pods that are not heard of: see [`Ledger::expire`] and
    /// [`WaitingPods::expire`].
    pub fn expire(&mut self, now: Instant) {
        let changed = self.ledger.expire(now);
        self.refresh_free(&changed);
        self.waiting.expire(now);
    }

    /// What was read of a decision that was in doubt: its pod, if that exists, and its claims.
    pub fn look_closer(&mut self, doubt: &Doubt, pod: Option<&Pod>, claims: &[Claim]) {
        let pod = pod.filter(|pod| pod.uid == doubt.pod_uid);
        if let Some(pod) = pod.filter(|pod| self.index.pod(&pod.key()).is_some()) {
            self.pod_shown(pod);
        }
        let has_node = |claim: &Claim| claim.selected_node.is_some() || claim.persistent_volume.is_some();
        let own = |claim: &&Claim| doubt.claims.iter().any(|(_, uid)| **uid == *claim.uid);
        let finding = match pod {
            _ if claims.iter().filter(own).any(has_node) => Finding::UnderWay,
            Some(_) => Finding::GivenUp,
            None => Finding::PodGone,
        };
        let changed = self.ledger.settle(doubt, finding);
        self.refresh_free(&changed);
    }

    /// What was read of a claim about which nothing seems to be done: the claim, and whether its volume is there. True if nothing is
    /// done, so that its reservation ends.
    pub fn look_after(&mut self, neglected: &Neglected, claim: Option<&Claim>, has_volume: bool) -> bool {
        let is_as_before = claim.is_some_and(|claim| {
            claim.uid.as_ref() == &*neglected.reservation.uid
                && claim.persistent_volume.is_none()
                && claim.selected_node.as_deref() == Some(&*neglected.node)
        });
        if !is_as_before || has_volume {
            self.ledger.is_not_neglected(neglected);
            return false;
        }
        let (has_ended, changed) = self.ledger.end_neglected(neglected);
        self.refresh_free(&changed);
        has_ended
    }

    /// A node reported something else, or does not report any more.
    fn refresh_node(&mut self, node: &str) {
        let reserved = self.ledger.reservations_on(node).map(|(reservation, _)| reservation);
        let reported = self.index.node(node);
        match reported.and_then(|reported| NodeSpace::new(reported, reserved)) {
            Some(space) => {
                if !self.waiting.is_empty() && space.has_more_room_than(self.spaces.get(node)) {
                    self.waiting.gained(node);
                }
                self.spaces.put(node, space);
            }
            None => self.spaces.remove(node),
        }
    }

    /// Volumes or reservations of these nodes changed.
    fn refresh_free<'a>(&mut self, nodes: impl IntoIterator<Item = &'a Arc<str>>) {
        for node in nodes {
            // One that was promised may not be any more.
            let mut available = self.index.available_volumes();
            if !self.waiting.is_empty() && available.any(|volume| volume.is_reached_from(node)) {
                self.waiting.gained(node);
            }
            let reserved = self.ledger.reservations_on(node).map(|(reservation, _)| reservation);
            if let (Some(space), Some(reported)) = (self.spaces.get_mut(node), self.index.node(node)) {
                let before = space.refresh(reported, reserved);
                if !self.waiting.is_empty() && before.is_some_and(|before| has_more_room(space.free(), &before)) {
                    self.waiting.gained(node);
                }
            }
        }
    }
}
