//! Who was promised space that no volume takes yet.
//!
//! A pure state machine: the index tells it how claims stand, the webhook what was decided and what time it is. There are
//! two kinds of promises. An *open* one was made by a filter call, on each of the nodes that passed, because nobody can
//! see yet which of them kube-scheduler takes. A *given* one is what the cluster shows: the claim has a selected node but
//! no volume. Given promises follow from the index alone, so a restart does not lose them; open ones end when the claim
//! is given, settled or gone, when its pod is decided anew, or when their time is up.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use placement::Want;

use crate::index::ObjectKey;

/// A claim and the space it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// The unique id of the claim.
    pub uid: Arc<str>,
    /// Its name, for people.
    pub claim: ObjectKey,
    /// What it needs.
    pub want: Want,
}

/// How a claim stands, as far as the cluster shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has neither a volume nor a node.
    Undecided,
    /// kube-scheduler chose this node for it, where it has no volume yet.
    Given(Arc<str>, Arc<Promise>),
    /// Its volume is on this node, or it is bound to one whose node is not known.
    Settled(Option<Arc<str>>),
    /// It does not exist any more.
    Gone,
}

/// The nodes whose promises changed.
pub type Touched = BTreeSet<Arc<str>>;

/// How a promise came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By a filter call; the claim does not show it yet.
    Open,
    /// The claim shows it.
    Given,
}

/// How long an open promise holds if nothing is heard of it. Longer than kube-scheduler takes to write one decision,
/// whatever its client limits, and than the operator takes to answer; short enough for bytes that nobody wants any more.
pub const DEFAULT_LIMIT: Duration = Duration::from_secs(120);

/// All promises.
#[derive(Debug)]
pub struct Ledger {
    /// In the order in which they were made.
    decisions: BTreeMap<u64, Decision>,
    /// The decision that each open promise is part of.
    open: HashMap<Arc<str>, u64>,
    given: HashMap<Arc<str>, (Arc<str>, Arc<Promise>)>,
    on_node: HashMap<Arc<str>, BTreeSet<Arc<str>>>,
    next: u64,
    limit: Duration,
    /// A decision was seen to be carried out, so the time of those after this one starts again.
    moved_on: Option<u64>,
}

/// The open promises of one pod: all its claims go to the same one of these nodes.
#[derive(Debug)]
struct Decision {
    pod: Box<str>,
    promises: BTreeMap<Arc<str>, Arc<Promise>>,
    nodes: BTreeSet<Arc<str>>,
    until: Instant,
    attempt: u32,
}

impl Ledger {
    /// Nothing is promised. Open promises end `limit` after they were made, or after a decision that is older was seen
    /// to be carried out: kube-scheduler writes its decisions one after the other, at a limited rate.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self {
            decisions: BTreeMap::new(),
            open: HashMap::new(),
            given: HashMap::new(),
            on_node: HashMap::new(),
            next: 0,
            limit,
            moved_on: None,
        }
    }

    /// The claims of `pod` are promised space on each of `nodes`, instead of whatever was promised to them or to the pod
    /// before. Claims that were given to a node already stay there.
    pub fn decide(&mut self, pod: &str, promises: &[Arc<Promise>], nodes: &[&str], now: Instant) -> Touched {
        let attempt = self.attempts(pod, promises.iter().map(|promise| &*promise.uid));
        let mut touched = Touched::new();
        for promise in promises {
            touched.append(&mut self.withdraw(&promise.uid, pod));
        }
        let open = promises.iter().filter(|promise| !self.given.contains_key(&promise.uid));
        let promises: BTreeMap<_, _> = open.map(|promise| (promise.uid.clone(), promise.clone())).collect();
        if promises.is_empty() || nodes.is_empty() {
            return touched;
        }
        let nodes: BTreeSet<Arc<str>> = nodes.iter().map(|node| Arc::from(*node)).collect();
        let number = self.next;
        self.next += 1;
        for uid in promises.keys() {
            self.open.insert(uid.clone(), number);
            self.put(uid, &nodes);
        }
        touched.extend(nodes.iter().cloned());
        let until = now + self.limit;
        let pod = pod.into();
        let decision = Decision {
            pod,
            promises,
            nodes,
            until,
            attempt,
        };
        self.decisions.insert(number, decision);
        touched
    }

    /// How often `pod` was decided for already without anything coming of it, going by its claims.
    pub fn attempts<'a>(&self, pod: &str, claims: impl IntoIterator<Item = &'a str>) -> u32 {
        let decisions = claims.into_iter().filter_map(|uid| self.decision_of(uid));
        let own = decisions.filter(|decision| *decision.pod == *pod);
        own.map(|decision| decision.attempt + 1).max().unwrap_or(0)
    }

    /// The nodes that a claim is promised space on for the sake of another pod than `pod`; none if it is not.
    #[must_use]
    pub fn nodes_for_others(&self, uid: &str, pod: &str) -> Option<&BTreeSet<Arc<str>>> {
        let decision = self.decision_of(uid)?;
        (*decision.pod != *pod).then_some(&decision.nodes)
    }

    /// Of the nodes that the claims of `pod` are promised space on, only `nodes` are left for kube-scheduler to take.
    pub fn narrow(&mut self, pod: &str, claims: &[&str], nodes: &[&str]) -> Touched {
        let own = |uid: &&str| {
            self.open
                .get(*uid)
                .copied()
                .filter(|number| *self.decisions[number].pod == *pod)
        };
        let numbers: BTreeSet<u64> = claims.iter().filter_map(own).collect();
        let mut touched = Touched::new();
        for number in numbers {
            let left = self.decisions[&number].nodes.iter();
            let left: BTreeSet<_> = left.filter(|node| nodes.contains(&&***node)).cloned().collect();
            if !left.is_empty() {
                touched.append(&mut self.confine(number, left));
            }
        }
        touched
    }

    /// A claim stands like this now.
    pub fn stands(&mut self, uid: &str, standing: Standing) -> Touched {
        if let (Some((node, promise)), Standing::Given(same_node, same)) = (self.given.get(uid), &standing)
            && (node, promise) == (same_node, same)
        {
            return Touched::new();
        }
        let mut touched = self.take_back(uid);
        touched.append(&mut match standing {
            Standing::Undecided => Touched::new(),
            Standing::Given(node, promise) => self.give(node, promise),
            Standing::Settled(node) => self.carried_out(uid, node),
            Standing::Gone => self.close(uid),
        });
        touched
    }

    /// It is `now`: open promises whose time is up are taken back.
    pub fn tick(&mut self, now: Instant) -> Touched {
        if let Some(number) = self.moved_on.take() {
            for (_, decision) in self.decisions.range_mut(number + 1..) {
                decision.until = now + self.limit;
            }
        }
        let late = self.decisions.values().filter(|decision| decision.until <= now);
        let late: Vec<Arc<str>> = late.flat_map(|decision| decision.promises.keys().cloned()).collect();
        late.iter().flat_map(|uid| self.close(uid)).collect()
    }

    /// What is promised on a node.
    pub fn on(&self, node: &str) -> impl Iterator<Item = (&Arc<Promise>, Kind)> {
        let claims = self.on_node.get(node).into_iter().flatten();
        claims.filter_map(|uid| match self.given.get(uid) {
            Some((_, promise)) => Some((promise, Kind::Given)),
            None => Some((self.decision_of(uid)?.promises.get(uid)?, Kind::Open)),
        })
    }

    /// The nodes that a claim is promised space on.
    #[must_use]
    pub fn nodes_of(&self, uid: &str) -> Vec<&str> {
        match (self.given.get(uid), self.decision_of(uid)) {
            (Some((node, _)), _) => vec![&**node],
            (None, Some(decision)) => decision.nodes.iter().map(|node| &**node).collect(),
            (None, None) => Vec::new(),
        }
    }

    fn decision_of(&self, uid: &str) -> Option<&Decision> {
        self.decisions.get(self.open.get(uid)?)
    }

    /// Takes back the open promise of a claim, and with it the whole decision if it was made for `pod`.
    fn withdraw(&mut self, uid: &str, pod: &str) -> Touched {
        let decision = self.decision_of(uid).filter(|decision| *decision.pod == *pod);
        let all: Vec<Arc<str>> = decision.map_or_else(Vec::new, |own| own.promises.keys().cloned().collect());
        let mut touched: Touched = all.iter().flat_map(|uid| self.close(uid)).collect();
        touched.append(&mut self.close(uid));
        touched
    }

    fn give(&mut self, node: Arc<str>, promise: Arc<Promise>) -> Touched {
        let uid = promise.uid.clone();
        let mut touched = self.carried_out(&uid, Some(node.clone()));
        self.put(&uid, [&node]);
        touched.insert(node.clone());
        self.given.insert(uid, (node, promise));
        touched
    }

    /// A claim went to a node. The other claims of its pod go there as well.
    fn carried_out(&mut self, uid: &str, node: Option<Arc<str>>) -> Touched {
        let Some(number) = self.open.get(uid).copied() else {
            return Touched::new();
        };
        self.moved_on = Some(self.moved_on.map_or(number, |earlier| earlier.min(number)));
        let mut touched = self.close(uid);
        if let Some(node) = node
            && self.decisions.contains_key(&number)
        {
            touched.append(&mut self.confine(number, [node].into()));
        }
        touched
    }

    /// A decision is for `nodes` from now on.
    fn confine(&mut self, number: u64, nodes: BTreeSet<Arc<str>>) -> Touched {
        let Some(decision) = self.decisions.get_mut(&number) else {
            return Touched::new();
        };
        let before = std::mem::replace(&mut decision.nodes, nodes.clone());
        let claims: Vec<Arc<str>> = decision.promises.keys().cloned().collect();
        for uid in &claims {
            self.remove(uid, &before);
            self.put(uid, &nodes);
        }
        before.symmetric_difference(&nodes).cloned().collect()
    }

    /// Ends the open promise of a claim, if there is one.
    fn close(&mut self, uid: &str) -> Touched {
        let Some(number) = self.open.remove(uid) else {
            return Touched::new();
        };
        let Some(decision) = self.decisions.get_mut(&number) else {
            return Touched::new();
        };
        decision.promises.remove(uid);
        let nodes = decision.nodes.clone();
        if decision.promises.is_empty() {
            self.decisions.remove(&number);
        }
        self.remove(uid, &nodes);
        nodes
    }

    /// Ends the given promise of a claim, if there is one.
    fn take_back(&mut self, uid: &str) -> Touched {
        let Some((node, _)) = self.given.remove(uid) else {
            return Touched::new();
        };
        let node = [node].into();
        self.remove(uid, &node);
        node
    }

    fn put<'a>(&mut self, uid: &Arc<str>, nodes: impl IntoIterator<Item = &'a Arc<str>>) {
        for node in nodes {
            self.on_node.entry(node.clone()).or_default().insert(uid.clone());
        }
    }

    fn remove(&mut self, uid: &str, nodes: &BTreeSet<Arc<str>>) {
        for node in nodes {
            if let Some(claims) = self.on_node.get_mut(node) {
                claims.remove(uid);
                if claims.is_empty() {
                    self.on_node.remove(node);
                }
            }
        }
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new(DEFAULT_LIMIT)
    }
}
