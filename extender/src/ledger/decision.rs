//! One decision of the filter, and how sure it is that kube-scheduler carries it out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use cluster::ObjectKey;

use super::{Reservation, ReservationState};

/// The reservations of one pod without a selected node: all its claims go to the same one of these nodes.
#[derive(Debug)]
pub(super) struct Decision {
    /// The unique id of the pod; empty if it is for the sake of claims alone.
    pub pod: Box<str>,
    pub key: ObjectKey,
    /// What the pod shows at this resource version, or an older one, is no news about this decision.
    pub version: u64,
    pub reservations: BTreeMap<Arc<str>, Arc<Reservation>>,
    pub nodes: BTreeSet<Arc<str>>,
    pub stage: Stage,
    /// None until the next call of [`Ledger::expire`](super::Ledger::expire).
    pub until: Option<Instant>,
    /// When there was news of it, of one of its claims, or of a decision before it; none until the next call of `expire`.
    pub heard: Option<Instant>,
    /// The nodes that passed for the pod before, in vain.
    pub tried: BTreeSet<Arc<str>>,
}

/// How sure it is that kube-scheduler carries a decision out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The nodes passed, and nothing was heard since.
    Open,
    /// The pod names the node.
    Nominated,
    /// The pod named the node, and does not any more, or names another: kube-scheduler failed.
    Over,
    /// The pod is not waiting any more: it was deleted, or bound and the claims do not show it yet.
    Gone,
    /// Its claims were on their way when they were last looked at.
    UnderWay,
}

impl Decision {
    /// It came to another stage: its time begins anew.
    pub fn enter(&mut self, stage: Stage) {
        if self.stage != stage {
            self.stage = stage;
            self.news();
        }
    }

    pub fn state(&self) -> ReservationState {
        match self.stage {
            Stage::Nominated => ReservationState::Nominated,
            Stage::Open | Stage::Over | Stage::Gone | Stage::UnderWay => ReservationState::Tentative,
        }
    }

    pub fn news(&mut self) {
        self.until = None;
        self.heard = None;
    }
}
