//! Who was promised space that no volume takes yet.
//!
//! A pure state machine: the index tells it how claims stand, the webhook what was decided and what time it is. There are
//! two kinds of promises. An *open* one was made by a filter call, on each of the nodes that passed, because nobody can
//! see yet which of them kube-scheduler takes. A *given* one is what the cluster shows: the claim has a selected node but
//! no volume. Given promises follow from the index alone, so a restart does not lose them; open ones end when the claim
//! is given, settled or gone, when its pod is decided anew, or when their time is up.

mod by_node;
mod promise;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use by_node::ByNode;
use placement::{NumaWish, VolumeRequest};
pub use promise::{Kind, Promise, Standing};

/// The nodes whose promises changed.
pub type Touched = BTreeSet<Arc<str>>;

/// How long an open promise holds if nothing is heard of it. Longer than kube-scheduler takes to write one decision,
/// whatever its client limits, and than the operator takes to answer; short enough for bytes that nobody wants any more.
pub const DEFAULT_LIMIT: Duration = Duration::from_secs(120);

/// All promises.
#[derive(Debug)]
pub struct Ledger {
    /// In the order in which they were made.
    decisions: BTreeMap<u64, Decision>,
    /// The decisions that each claim is part of: one for each pod that has it.
    open: HashMap<Arc<str>, BTreeSet<u64>>,
    given: HashMap<Arc<str>, (Arc<str>, Arc<Promise>)>,
    on_node: ByNode,
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
    /// None until the next tick.
    until: Option<Instant>,
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
            on_node: ByNode::default(),
            next: 0,
            limit,
            moved_on: None,
        }
    }

    /// The claims of `pod` are promised space on each of `nodes`, instead of whatever was promised for the sake of this
    /// pod before. What was promised for the sake of other pods stays, and so do claims that were given to a node.
    pub fn decide(&mut self, pod: &str, promises: &[Arc<Promise>], nodes: &[&str], now: Instant) -> Touched {
        let uids = || promises.iter().map(|promise| &*promise.uid);
        let attempt = self.attempts(pod, uids());
        let earlier = self.decisions_for(pod, uids());
        let mut touched: Touched = earlier.into_iter().flat_map(|number| self.revoke(number)).collect();
        let open = promises.iter().filter(|promise| !self.given.contains_key(&promise.uid));
        let promises: BTreeMap<_, _> = open.map(|promise| (promise.uid.clone(), promise.clone())).collect();
        if promises.is_empty() || nodes.is_empty() {
            return touched;
        }
        let nodes: BTreeSet<Arc<str>> = nodes.iter().map(|node| Arc::from(*node)).collect();
        touched.extend(nodes.iter().cloned());
        self.add(Decision {
            pod: pod.into(),
            promises,
            nodes,
            until: Some(now + self.limit),
            attempt,
        });
        touched
    }

    /// How often `pod` was decided for already without anything coming of it, going by its claims.
    pub fn attempts<'a>(&self, pod: &str, claims: impl IntoIterator<Item = &'a str>) -> u32 {
        let own = self.decisions_for(pod, claims).into_iter();
        own.map(|number| self.decisions[&number].attempt + 1).max().unwrap_or(0)
    }

    /// The nodes that a claim is promised space on for the sake of other pods than `pod`; none if it is not.
    #[must_use]
    pub fn nodes_for_others(&self, uid: &str, pod: &str) -> Option<BTreeSet<&str>> {
        let others = self.decisions_of(uid).filter(|(_, decision)| *decision.pod != *pod);
        let nodes: BTreeSet<&str> = others.flat_map(|(_, other)| &other.nodes).map(|node| &**node).collect();
        (!nodes.is_empty()).then_some(nodes)
    }

    /// Of the nodes that the claims of `pod` are promised space on, only `nodes` are left for kube-scheduler to take.
    pub fn narrow(&mut self, pod: &str, claims: &[&str], nodes: &[&str]) -> Touched {
        let mut touched = Touched::new();
        for number in self.decisions_for(pod, claims.iter().copied()) {
            let left = self.decisions[&number].nodes.iter();
            let left: BTreeSet<_> = left.filter(|node| nodes.contains(&&***node)).cloned().collect();
            if !left.is_empty() {
                touched.append(&mut self.confine(number, &left));
            }
        }
        touched
    }

    /// A claim stands like this now.
    pub fn stands(&mut self, uid: &str, standing: Standing) -> Touched {
        let standing = match standing {
            Standing::Given(node, promise) => {
                let decided = self.decided(&node, &promise);
                Standing::Given(node, decided.unwrap_or(promise))
            }
            other => other,
        };
        if let (Some((node, promise)), Standing::Given(same_node, same)) = (self.given.get(uid), &standing)
            && (node, promise) == (same_node, same)
        {
            return Touched::new();
        }
        if let Standing::Bound(node) = standing {
            return self.linger(uid, node.as_ref());
        }
        let mut touched = self.take_back(uid);
        touched.append(&mut match standing {
            Standing::Undecided | Standing::Bound(_) => Touched::new(),
            Standing::Given(node, promise) => self.give(node, promise),
            Standing::Settled(node) => self.carried_out(uid, node.as_ref()),
            Standing::Gone => self.close(uid),
        });
        touched
    }

    /// It is `now`: open promises whose time is up are taken back.
    pub fn tick(&mut self, now: Instant) -> Touched {
        if let Some(number) = self.moved_on.take() {
            for (_, decision) in self.decisions.range_mut(number + 1..) {
                decision.until = None;
            }
        }
        for decision in self.decisions.values_mut() {
            decision.until.get_or_insert(now + self.limit);
        }
        let late = self
            .decisions
            .iter()
            .filter(|(_, decision)| decision.until <= Some(now));
        let late: Vec<u64> = late.map(|(number, _)| *number).collect();
        late.into_iter().flat_map(|number| self.revoke(number)).collect()
    }

    /// What is promised on a node, each claim once.
    pub fn on(&self, node: &str) -> impl Iterator<Item = (&Arc<Promise>, Kind)> {
        let each = self.on_node.claims(node);
        each.filter_map(|(uid, number)| match number {
            None => Some((&self.given.get(uid)?.1, Kind::Given)),
            Some(number) => Some((self.decisions.get(number)?.promises.get(uid)?, Kind::Open)),
        })
    }

    /// The nodes that a claim is promised space on.
    #[must_use]
    pub fn nodes_of(&self, uid: &str) -> BTreeSet<&str> {
        let given = self.given.get(uid).map(|(node, _)| node);
        let open = self.decisions_of(uid).flat_map(|(_, decision)| &decision.nodes);
        open.chain(given).map(|node| &**node).collect()
    }

    /// What was promised to a claim on `node` if it was decided what [`NumaWish::Together`] comes to, because other volumes
    /// of its pod are there. The claim itself shows only what its class wishes.
    fn decided(&self, node: &str, shown: &Promise) -> Option<Arc<Promise>> {
        let given = self.given.get(&shown.uid).filter(|(on, _)| **on == *node);
        let open = self.decisions_of(&shown.uid);
        let open = open.filter(|(_, decision)| decision.nodes.contains(node));
        let open = open.filter_map(|(_, decision)| decision.promises.get(&shown.uid));
        let mut known = given.map(|(_, promise)| promise).into_iter().chain(open);
        let unsettled = |known: &Promise| VolumeRequest {
            numa: NumaWish::Together,
            ..known.request
        };
        known.find(|known| unsettled(known) == shown.request).cloned()
    }

    fn decisions_of(&self, uid: &str) -> impl Iterator<Item = (u64, &Decision)> {
        let numbers = self.open.get(uid).into_iter().flatten();
        numbers.filter_map(|number| Some((*number, self.decisions.get(number)?)))
    }

    fn decisions_for<'a>(&self, pod: &str, claims: impl IntoIterator<Item = &'a str>) -> BTreeSet<u64> {
        let all = claims.into_iter().flat_map(|uid| self.decisions_of(uid));
        all.filter(|(_, decision)| *decision.pod == *pod)
            .map(|(number, _)| number)
            .collect()
    }

    fn give(&mut self, node: Arc<str>, promise: Arc<Promise>) -> Touched {
        let uid = promise.uid.clone();
        let mut touched = self.carried_out(&uid, Some(&node));
        self.on_node.put(&uid, None, [&node]);
        touched.insert(node.clone());
        self.given.insert(uid, (node, promise));
        touched
    }

    /// A claim is bound, but what it was promised is not seen to be taken yet: the promise has its time to end by then.
    fn linger(&mut self, uid: &str, node: Option<&Arc<str>>) -> Touched {
        let mut touched = Touched::new();
        if let Some((on, promise)) = self.given.get(uid).cloned() {
            touched.append(&mut self.take_back(uid));
            self.add(Decision {
                pod: "".into(),
                promises: [(promise.uid.clone(), promise)].into(),
                nodes: [on].into(),
                until: None,
                attempt: 0,
            });
        }
        for number in self.open.get(uid).cloned().unwrap_or_default() {
            if let Some(node) = node {
                touched.append(&mut self.confine(number, &[node.clone()].into()));
            }
        }
        touched
    }

    fn add(&mut self, decision: Decision) {
        for uid in decision.promises.keys() {
            self.open.entry(uid.clone()).or_default().insert(self.next);
            self.on_node.put(uid, Some(self.next), &decision.nodes);
        }
        self.decisions.insert(self.next, decision);
        self.next += 1;
    }

    /// A claim went to a node. The other claims of its pods go there as well.
    fn carried_out(&mut self, uid: &str, node: Option<&Arc<str>>) -> Touched {
        let numbers = self.open.get(uid).cloned().unwrap_or_default();
        self.moved_on = self.moved_on.into_iter().chain(numbers.first().copied()).min();
        let mut touched = self.close(uid);
        for number in numbers {
            if let Some(node) = node {
                touched.append(&mut self.confine(number, &[node.clone()].into()));
            }
        }
        touched
    }

    /// A decision, if there still is one, is for `nodes` from now on.
    fn confine(&mut self, number: u64, nodes: &BTreeSet<Arc<str>>) -> Touched {
        let Some(decision) = self.decisions.get_mut(&number) else {
            return Touched::new();
        };
        let before = std::mem::replace(&mut decision.nodes, nodes.clone());
        let claims: Vec<Arc<str>> = decision.promises.keys().cloned().collect();
        for uid in &claims {
            self.on_node.remove(uid, Some(number), &before);
            self.on_node.put(uid, Some(number), nodes);
        }
        before.symmetric_difference(nodes).cloned().collect()
    }

    /// Ends a whole decision.
    fn revoke(&mut self, number: u64) -> Touched {
        let Some(decision) = self.decisions.remove(&number) else {
            return Touched::new();
        };
        for uid in decision.promises.keys() {
            self.on_node.remove(uid, Some(number), &decision.nodes);
            if let Some(numbers) = self.open.get_mut(uid) {
                numbers.remove(&number);
                if numbers.is_empty() {
                    self.open.remove(uid);
                }
            }
        }
        decision.nodes
    }

    /// Ends all open promises of a claim.
    fn close(&mut self, uid: &str) -> Touched {
        let mut touched = Touched::new();
        for number in self.open.remove(uid).unwrap_or_default() {
            let Some(decision) = self.decisions.get_mut(&number) else {
                continue;
            };
            decision.promises.remove(uid);
            let nodes = decision.nodes.clone();
            if decision.promises.is_empty() {
                self.decisions.remove(&number);
            }
            self.on_node.remove(uid, Some(number), &nodes);
            touched.extend(nodes);
        }
        touched
    }

    /// Ends the given promise of a claim, if there is one.
    fn take_back(&mut self, uid: &str) -> Touched {
        let Some((node, _)) = self.given.remove(uid) else {
            return Touched::new();
        };
        let node = [node].into();
        self.on_node.remove(uid, None, &node);
        node
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new(DEFAULT_LIMIT)
    }
}
