//! Gangs: pods of which kube-scheduler places enough or none, all in one cycle (KEP-4671, `podGroupCycle` of
//! `schedule_one_podgroup.go`).
//!
//! What is reserved for members that passed is for nothing if the gang is refused, and nothing tells of that. But kube-scheduler asks for
//! each member once in a cycle. So when one comes back that had passed, the last cycle came to nothing for all of them. And with no more
//! members than in a cycle that came to nothing, the next one comes to nothing, too: what is reserved in it ends with it. A gang that does
//! not fit is tried many times a second, and would hold its nodes all that time.

use std::collections::{BTreeSet, HashMap};
use std::mem;

use cluster::{ObjectKey, Pod};

use super::decision::{Decision, Stage};
use super::{ChangedNodes, Ledger};

/// The gangs that are being tried.
#[derive(Debug, Default)]
pub(super) struct Gangs(HashMap<ObjectKey, Gang>);

/// A gang.
#[derive(Debug, Default)]
struct Gang {
    last: Cycle,
    now: Cycle,
    /// The most members that passed in a cycle that came to nothing.
    too_few: Option<usize>,
}

/// One cycle of kube-scheduler.
#[derive(Debug, Default)]
struct Cycle {
    /// The members that were asked for.
    asked: BTreeSet<Box<str>>,
    /// For how many of them something is reserved.
    passed: usize,
}

impl Gang {
    /// Whether all members were asked for, and no more passed than in a cycle that came to nothing.
    fn comes_to_nothing(&self) -> bool {
        let is_complete = !self.last.asked.is_empty() && self.now.asked.len() >= self.last.asked.len();
        is_complete && self.too_few.is_some_and(|few| self.now.passed <= few)
    }
}

impl Gangs {
    /// A pod does not wait any more.
    pub(super) fn pod_gone(&mut self, pod: &str) {
        self.0.retain(|_, gang| {
            gang.last.asked.remove(pod);
            gang.now.asked.remove(pod);
            !(gang.last.asked.is_empty() && gang.now.asked.is_empty())
        });
    }
}

impl Ledger {
    /// kube-scheduler asks for `pod`, and nothing is decided yet. If it is a member of a gang that had passed and comes back, what was
    /// decided for the gang in the last cycle ends, but for what was carried out.
    pub fn gang_asked(&mut self, pod: &Pod) -> ChangedNodes {
        let Some(key) = &pod.gang else {
            return ChangedNodes::new();
        };
        let mut gang = self.gangs.0.remove(key).unwrap_or_default();
        if gang.now.asked.contains(&pod.uid) {
            gang.last = mem::take(&mut gang.now);
        }
        let mut changed = ChangedNodes::new();
        let of_last =
            self.open_decisions(|member| gang.last.asked.contains(member) && !gang.now.asked.contains(member));
        if of_last.iter().any(|number| self.decisions[number].pod == pod.uid) {
            gang.too_few = gang.too_few.max(Some(gang.last.passed));
            changed = self.revoke_all(of_last);
        }
        gang.now.asked.insert(pod.uid.clone());
        self.gangs.0.insert(key.clone(), gang);
        changed
    }

    /// It was decided for `pod`. If it is the last member of a gang in a cycle that comes to nothing, what was decided in that cycle ends.
    pub fn gang_answered(&mut self, pod: &Pod) -> ChangedNodes {
        let Some((key, mut gang)) = pod.gang.as_ref().and_then(|key| self.gangs.0.remove_entry(key)) else {
            return ChangedNodes::new();
        };
        let open = self.open_decisions(|member| gang.now.asked.contains(member));
        gang.now.passed = open.len();
        let changed = if gang.comes_to_nothing() {
            self.revoke_all(open)
        } else {
            ChangedNodes::new()
        };
        self.gangs.0.insert(key, gang);
        changed
    }

    /// The decisions for these pods of which nothing was heard.
    fn open_decisions(&self, is_one: impl Fn(&str) -> bool) -> Vec<u64> {
        let is_open = |decision: &Decision| decision.stage == Stage::Open && is_one(&decision.pod);
        let open = self.decisions.iter().filter(|(_, decision)| is_open(decision));
        open.map(|(number, _)| *number).collect()
    }

    fn revoke_all(&mut self, numbers: Vec<u64>) -> ChangedNodes {
        numbers.into_iter().flat_map(|number| self.revoke(number)).collect()
    }
}
