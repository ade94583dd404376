//! What the state knows of pods that wait.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use cluster::{Claim, Pod};

use super::State;
use crate::waiting::WaitingPods;

impl State {
    /// The pods that wait.
    #[must_use]
    pub fn waiting(&self) -> &WaitingPods {
        &self.waiting
    }

    /// A filter call was answered: see [`WaitingPods::answered`] and [`Ledger::gang_answered`](crate::ledger::Ledger::gang_answered).
    /// Nobody is woken for a member of a gang: kube-scheduler tries gangs again by itself, and a single one is of no use.
    pub fn answered(&mut self, pod: &Pod, asked: &[&str], passed: bool, now: Instant) {
        if pod.gang.is_none() {
            self.waiting.answered(pod, asked, passed, now);
        }
        let changed = self.ledger.gang_answered(pod);
        self.refresh_free(&changed);
    }

    /// Takes in the pods that are shown to wait, when the extender starts: they may find room anywhere.
    pub fn take_in_waiting(&mut self, now: Instant) {
        for pod in self.index.pods().filter(|pod| pod.waits && pod.gang.is_none()) {
            self.waiting.found(pod, now);
        }
        for node in self.spaces.names() {
            self.waiting.gained(node);
        }
    }

    /// The nodes that have gained room since the last call.
    pub fn take_gained(&mut self) -> BTreeSet<Arc<str>> {
        self.waiting.take_gained()
    }

    /// These nodes have gained room.
    pub fn gained(&mut self, nodes: &BTreeSet<Arc<str>>) {
        for node in nodes {
            self.waiting.gained(node);
        }
    }

    /// A volume that exists can be reached from these nodes, or from all: claims can be bound to it.
    pub(super) fn volume_gained(&mut self, nodes: Option<BTreeSet<Box<str>>>) {
        match nodes {
            Some(nodes) => nodes.iter().for_each(|node| self.waiting.gained(node)),
            None => self.spaces.names().for_each(|node| self.waiting.gained(node)),
        }
    }

    /// A claim is gone: the volume that it was bound to may be available already.
    pub(super) fn volume_left(&mut self, claim: &Claim) {
        let Some(left) = claim.volume_not_made_for_it() else {
            return;
        };
        let found = self.index.available_volumes().find(|volume| *volume.name == *left);
        if let Some(nodes) = found.map(|volume| volume.nodes.clone()) {
            self.volume_gained(nodes);
        }
    }

    /// All pods are tried again: see [`WaitingPods::woken_for`].
    pub fn woken_for(&mut self, uid: &str) {
        self.waiting.woken_for(uid);
    }

    /// See [`WaitingPods::forget`].
    pub fn does_not_wait(&mut self, uid: &str) {
        self.waiting.forget(uid);
    }
}
