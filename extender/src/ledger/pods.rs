//! What pods show: which node kube-scheduler took for them, and that it gave them up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::{ObjectKey, Pod};

use super::decision::{Decision, Stage};
use super::{ChangedNodes, Ledger, Reservation};

/// kube-scheduler writes something of a decision so long after it, after the one before it, or after the last claim that it wrote, at
/// the latest. After that the decision is in doubt.
pub const HEARD_WITHIN: Duration = Duration::from_secs(20);

/// So many pods that were gone are remembered.
const GONE: usize = 256;

/// A decision that seems to be over. Whether it is has to be read from the API server: the watches of pods and of claims need
/// not be equally far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    number: u64,
    /// The pod that it was for.
    pub pod: ObjectKey,
    /// Its unique id.
    pub pod_uid: Box<str>,
    /// Its claims, each with its unique id.
    pub claims: Vec<(ObjectKey, Arc<str>)>,
}

/// What was found of a decision that was in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A claim has a node: the watches show that later.
    UnderWay,
    /// No claim has a node, and the pod waits.
    GivenUp,
    /// No claim has a node, and the pod does not wait any more.
    PodGone,
}

impl Ledger {
    /// The cluster shows a pod without a node now, and its claims that need space. What is reserved on the node that it names lasts as
    /// long as it names it, whoever decided that; what was reserved for it elsewhere ends.
    pub fn pod_shown(&mut self, pod: &Pod, reservations: &[Arc<Reservation>]) -> ChangedNodes {
        let mut changed = ChangedNodes::new();
        self.gone.retain(|gone| *gone != pod.uid);
        for number in self.decisions_of_pod(&pod.uid) {
            changed.append(&mut self.hear(number, pod));
        }
        if let Some(node) = &pod.nominated_node
            && !reservations.is_empty()
            && !self.is_nominated(&pod.uid, node)
        {
            changed.insert(node.clone());
            self.add(Decision::nominated(pod, node, reservations));
        }
        changed
    }

    /// News of the pod of a decision.
    fn hear(&mut self, number: u64, pod: &Pod) -> ChangedNodes {
        let nothing = ChangedNodes::new();
        let Some(decision) = self.decisions.get_mut(&number) else {
            return nothing;
        };
        // Of an earlier attempt, which failed.
        if pod.version <= decision.version && pod.version != 0 {
            return nothing;
        }
        let named = pod
            .nominated_node
            .as_ref()
            .filter(|node| decision.nodes.contains(*node));
        match (named, decision.stage) {
            // Read from the API server, where it is bound.
            (_, Stage::Gone) => nothing,
            (Some(node), stage) => {
                self.nominates |= stage == Stage::Open;
                if stage != Stage::Nominated {
                    self.carried_out = self.carried_out.into_iter().chain([number]).min();
                }
                decision.version = pod.version;
                decision.enter(Stage::Nominated);
                self.confine(number, &[node.clone()].into())
            }
            (None, Stage::Nominated) => {
                decision.enter(Stage::Over);
                nothing
            }
            // Preemption, or it did without the answer.
            (None, Stage::Open) if pod.nominated_node.is_some() => {
                decision.enter(Stage::Over);
                nothing
            }
            (None, _) => nothing,
        }
    }

    fn is_nominated(&self, pod: &str, node: &Arc<str>) -> bool {
        let mut own = self.decisions.values().filter(|decision| *decision.pod == *pod);
        own.any(|decision| decision.stage == Stage::Nominated && decision.nodes.contains(node))
    }

    /// A pod does not wait any more: it has a node, or was deleted.
    pub fn pod_gone(&mut self, pod: &str) {
        self.tried.remove(pod);
        self.gangs.pod_gone(pod);
        self.gone.truncate(GONE - 1);
        self.gone.push_front(pod.into());
        for number in self.decisions_of_pod(pod) {
            if let Some(decision) = self.decisions.get_mut(&number) {
                decision.enter(Stage::Gone);
            }
        }
    }

    /// The decisions that seem to be over at `now`.
    #[must_use]
    pub fn doubtful(&self, now: Instant) -> Vec<Doubt> {
        let is_silent = |decision: &Decision| decision.heard.is_some_and(|heard| heard + HEARD_WITHIN <= now);
        let is_doubtful = |decision: &Decision| match decision.stage {
            Stage::Over => true,
            Stage::Open => self.nominates && is_silent(decision),
            Stage::Gone => is_silent(decision),
            Stage::Nominated | Stage::UnderWay => false,
        };
        let doubtful = self.decisions.iter().filter(|(_, decision)| is_doubtful(decision));
        let holding = doubtful.filter(|(_, decision)| decision.reservations.keys().any(|uid| self.is_open(uid)));
        holding.map(|(number, decision)| decision.doubt(*number)).collect()
    }

    /// Whether nothing shows where a claim goes.
    fn is_open(&self, uid: &str) -> bool {
        !self.is_shown(uid) && !self.unshown.contains(uid)
    }

    /// It was read what became of a decision that was in doubt.
    pub fn settle(&mut self, doubt: &Doubt, finding: Finding) -> ChangedNodes {
        let Some(decision) = self.decisions.get_mut(&doubt.number) else {
            return ChangedNodes::new();
        };
        match (finding, decision.stage) {
            // There was news meanwhile.
            (_, Stage::Nominated) => ChangedNodes::new(),
            (Finding::UnderWay, _) => {
                decision.enter(Stage::UnderWay);
                ChangedNodes::new()
            }
            (Finding::GivenUp, _) => {
                let tried = decision.tried.union(&decision.nodes).cloned().collect();
                self.tried.insert(doubt.pod_uid.clone(), tried);
                self.revoke(doubt.number)
            }
            (Finding::PodGone, _) => self.revoke(doubt.number),
        }
    }

    /// Whether nodes are decided on for `pod`, going by its claims.
    #[must_use]
    pub fn has_decided<'a>(&self, pod: &str, claims: impl IntoIterator<Item = &'a str>) -> bool {
        !self.decisions_for(pod, claims).is_empty()
    }

    /// The nodes that passed for `pod` before, going by its claims, without anything coming of it.
    pub fn tried<'a>(&self, pod: &str, claims: impl IntoIterator<Item = &'a str>) -> BTreeSet<Arc<str>> {
        let mut tried = self.tried.get(pod).cloned().unwrap_or_default();
        for number in self.decisions_for(pod, claims) {
            let decision = &self.decisions[&number];
            tried.extend(decision.tried.union(&decision.nodes).cloned());
        }
        tried
    }

    /// Ends whatever was decided for a pod.
    pub fn forget(&mut self, pod: &str) -> ChangedNodes {
        let own = self.decisions_of_pod(pod).into_iter();
        own.flat_map(|number| self.revoke(number)).collect()
    }

    fn decisions_of_pod(&self, pod: &str) -> Vec<u64> {
        let own = self.decisions.iter().filter(|(_, decision)| *decision.pod == *pod);
        own.map(|(number, _)| *number).collect()
    }
}

impl Decision {
    fn nominated(pod: &Pod, node: &Arc<str>, reservations: &[Arc<Reservation>]) -> Self {
        let reservations = reservations.iter();
        Self {
            pod: pod.uid.clone(),
            key: pod.key(),
            version: pod.version,
            reservations: reservations.map(|it| (it.uid.clone(), it.clone())).collect(),
            nodes: [node.clone()].into(),
            stage: Stage::Nominated,
            until: None,
            heard: None,
            tried: BTreeSet::new(),
        }
    }

    fn doubt(&self, number: u64) -> Doubt {
        let reservations = self.reservations.values();
        Doubt {
            number,
            pod: self.key.clone(),
            pod_uid: self.pod.clone(),
            claims: reservations.map(|it| (it.claim.clone(), it.uid.clone())).collect(),
        }
    }
}
