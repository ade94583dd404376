//! The pods that no node had room for when kube-scheduler last asked, and the nodes that have gained room since.
//!
//! kube-scheduler tries a pod that an extender refused again as soon as an object of certain kinds changes
//! (`UnrollWildCardResource` in `pkg/scheduler/framework/types.go`), else after five minutes. No kind of ours is among these,
//! and a CSIStorageCapacity object changes only with the largest volume of its node. So whoever waits for anything else has to be
//! woken: [`wake`](crate::wake) does it, for whom [`decide::room_for_waiting`](crate::decide::room_for_waiting) finds room.
//!
//! A pure state machine, as the ledger is.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::Pod;

/// From so many nodes on, kube-scheduler may have left others out (`minFeasibleNodesToFind` of `pkg/scheduler`). One that asks
/// about fewer has asked about all that will do as far as it can tell.
const MAY_BE_SOME: usize = 100;

/// Of whom nothing is heard for so long does not wait any more: kube-scheduler tries each pod again after five minutes, and looks
/// for such pods every thirty seconds.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);

/// The pods that wait, by their unique ids, and the nodes that have gained room since somebody looked.
#[derive(Debug, Default)]
pub struct WaitingPods {
    pods: BTreeMap<Box<str>, WaitingPod>,
    gained: BTreeSet<Arc<str>>,
    /// What kube-scheduler asked about last: pods that wait for the same nodes share one copy.
    last_asked: Arc<BTreeSet<Arc<str>>>,
    tries: Tries,
}

/// What came of waking pods, since the start of the extender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// They found room.
    pub placed: u64,
    /// They were tried and refused again.
    pub in_vain: u64,
}

#[derive(Debug)]
struct WaitingPod {
    pod: Arc<Pod>,
    /// The only nodes that kube-scheduler would take; none if it may have left some out. What makes it take others wakes the pod by
    /// itself.
    only: Option<Arc<BTreeSet<Arc<str>>>>,
    heard_of: Instant,
    woken: Woken,
}

/// Whether a pod was woken since it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    No,
    /// With another one.
    Along,
    /// There was room for it. Until it comes back, nobody is woken for it: it may not wait for us alone.
    Itself,
}

impl WaitingPods {
    /// A filter call for `pod`, with the candidates `asked`, was answered at `now`: with a node, or without.
    pub fn answered(&mut self, pod: &Pod, asked: &[&str], passed: bool, now: Instant) {
        let before = self.pods.remove(&pod.uid);
        if before.is_some_and(|before| before.woken != Woken::No) {
            let tries = if passed {
                &mut self.tries.placed
            } else {
                &mut self.tries.in_vain
            };
            *tries += 1;
        }
        if passed {
            return;
        }
        let only = (asked.len() < MAY_BE_SOME).then(|| self.shared(asked));
        self.add(pod, only, now);
    }

    fn shared(&mut self, asked: &[&str]) -> Arc<BTreeSet<Arc<str>>> {
        let last = &self.last_asked;
        if last.len() != asked.len() || asked.iter().any(|node| !last.contains(*node)) {
            self.last_asked = Arc::new(asked.iter().map(|node| Arc::from(*node)).collect());
        }
        self.last_asked.clone()
    }

    /// `pod` waits already when the extender starts, and any node may have gained room for it.
    pub fn found(&mut self, pod: &Pod, now: Instant) {
        if !self.pods.contains_key(&pod.uid) {
            self.add(pod, None, now);
        }
    }

    fn add(&mut self, pod: &Pod, only: Option<Arc<BTreeSet<Arc<str>>>>, now: Instant) {
        let waiting = WaitingPod {
            pod: Arc::new(pod.clone()),
            only,
            heard_of: now,
            woken: Woken::No,
        };
        self.pods.insert(pod.uid.clone(), waiting);
    }

    /// `node` has room that it did not have before.
    pub fn gained(&mut self, node: &str) {
        if !self.pods.is_empty() && !self.gained.contains(node) {
            self.gained.insert(node.into());
        }
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pods.is_empty()
    }

    /// How many pods wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pods.len()
    }

    /// What came of waking pods.
    #[must_use]
    pub fn tries(&self) -> Tries {
        self.tries
    }

    /// The nodes that have gained room since the last call.
    pub fn take_gained(&mut self) -> BTreeSet<Arc<str>> {
        std::mem::take(&mut self.gained)
    }

    /// The pods after the one with the unique id `after`, with those of the nodes in `gained` that each may go to.
    pub fn interested<'a>(
        &'a self,
        after: Option<&str>,
        gained: &'a BTreeSet<Arc<str>>,
    ) -> impl Iterator<Item = (&'a Arc<Pod>, Vec<&'a str>)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let pods = self.pods.range::<str, _>((from, Bound::Unbounded));
        pods.map(|(_, waiting)| (&waiting.pod, waiting.nodes_in(gained)))
    }

    /// kube-scheduler has been told to try all pods again, because there is room for the one with this unique id.
    pub fn woken_for(&mut self, uid: &str) {
        for (of, waiting) in &mut self.pods {
            waiting.woken = match waiting.woken {
                Woken::Itself => Woken::Itself,
                _ if **of == *uid => Woken::Itself,
                Woken::No | Woken::Along => Woken::Along,
            };
        }
    }

    /// The pod with this unique id does not wait any more.
    pub fn forget(&mut self, uid: &str) {
        self.pods.remove(uid);
    }

    /// Forgets the pods of which nothing was heard for a long time at `now`.
    pub fn expire(&mut self, now: Instant) {
        self.pods
            .retain(|_, waiting| now.saturating_duration_since(waiting.heard_of) < FORGOTTEN_AFTER);
        if self.pods.is_empty() {
            self.gained.clear();
        }
    }
}

impl WaitingPod {
    fn nodes_in<'a>(&self, gained: &'a BTreeSet<Arc<str>>) -> Vec<&'a str> {
        if self.woken == Woken::Itself {
            return Vec::new();
        }
        let may_go_to = |node: &&Arc<str>| self.only.as_ref().is_none_or(|only| only.contains(*node));
        gained.iter().filter(may_go_to).map(|node| &**node).collect()
    }
}
