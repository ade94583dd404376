//! What is reserved for claims that have no volume yet.
//!
//! A pure state machine: it is told how claims change, what was decided, and what time it is. A *tentative* reservation
//! was made by a filter call, on each of the nodes that passed, because nobody can see yet which of them kube-scheduler
//! takes. It is *nominated* while its pod names the node, which is the earliest sign of what kube-scheduler took. An
//! *assigned* one is what the cluster shows of the claim: it has a selected node but no volume. Nominated and assigned
//! reservations follow from the watches alone, so a restart does not lose them; tentative ones end when the claim is bound or
//! deleted, when its pod is decided anew or given up, or when their time is up. While the claim shows a node or its volume is
//! being made, that counts and not they do: but what a watch shows may be from before the decision, and be taken back.

mod assigned;
mod by_node;
mod decision;
mod gangs;
mod pods;
mod reservation;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use assigned::Assigned;
pub use assigned::{NEGLECTED_AFTER, Neglected};
use by_node::ByNode;
use cluster::{ObjectKey, Pod};
use decision::{Decision, Stage};
use gangs::Gangs;
use placement::{NumaWish, VolumeRequest};
pub use pods::{Doubt, Finding, HEARD_WITHIN};
pub use reservation::{ClaimState, Reservation, ReservationState, Reserved, reservations};

/// The nodes on which something else is reserved than before.
pub type ChangedNodes = BTreeSet<Arc<str>>;

/// How long a tentative reservation lasts if nothing is heard of it. Longer than kube-scheduler takes to write one
/// decision, whatever its client limits, and than the operator takes to answer; short enough for bytes that nobody wants
/// any more.
pub const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(120);

/// So many decisions within this time are a burst.
const BURST: (usize, Duration) = (16, Duration::from_secs(10));

/// With so many pods of which it is not known which of several nodes they go to, no other pod gets a choice.
const UNKNOWN: usize = 4;

/// All reservations.
#[derive(Debug)]
pub struct Ledger {
    /// In the order in which they were made.
    decisions: BTreeMap<u64, Decision>,
    /// The decisions that each claim is part of: one for each pod that has it.
    tentative: HashMap<Arc<str>, BTreeSet<u64>>,
    assigned: HashMap<Arc<str>, Assigned>,
    /// This one of the assigned, in the order in which they came, got its volume since the last call of [`Ledger::expire`].
    provisioned: Option<u64>,
    /// The claims whose volume is being made: it counts itself.
    made: HashSet<Arc<str>>,
    /// The claims that were bound to a volume which was not shown yet.
    unshown: HashSet<Arc<str>>,
    by_node: ByNode,
    next: u64,
    time_limit: Duration,
    /// This decision was seen to be carried out, at least for one claim, since the last call of [`Ledger::expire`].
    carried_out: Option<u64>,
    /// Whether pods were seen to name a node that had passed for them: kube-scheduler does that since 1.35.
    nominates: bool,
    /// For pods whose decision ended without them: the nodes that passed for them.
    tried: HashMap<Box<str>, BTreeSet<Arc<str>>>,
    /// When the last decisions were made.
    recent: VecDeque<Instant>,
    /// The last pods that were gone: kube-scheduler may have asked about one just before, and be answered after that.
    gone: VecDeque<Box<str>>,
    gangs: Gangs,
}

impl Ledger {
    /// Nothing is reserved. Tentative reservations end `time_limit` after they were made, or after a claim of the same decision or of
    /// an older one was seen to be written: kube-scheduler writes one after the other, at a limited rate.
    #[must_use]
    pub fn new(time_limit: Duration) -> Self {
        Self {
            decisions: BTreeMap::new(),
            tentative: HashMap::new(),
            assigned: HashMap::new(),
            provisioned: None,
            made: HashSet::new(),
            unshown: HashSet::new(),
            by_node: ByNode::default(),
            next: 0,
            time_limit,
            carried_out: None,
            nominates: false,
            tried: HashMap::new(),
            recent: VecDeque::new(),
            gone: VecDeque::new(),
            gangs: Gangs::default(),
        }
    }

    /// Reserves space for the claims of `pod` on each of `nodes`, instead of whatever was reserved for the sake of this
    /// pod before. What is reserved for the sake of other pods stays. A claim that is shown as assigned is reserved as well,
    /// and counts once: kube-scheduler may have seen already that external-provisioner took its node away.
    pub fn reserve(
        &mut self,
        pod: &Pod,
        reservations: &[Arc<Reservation>],
        nodes: &[&str],
        now: Instant,
    ) -> ChangedNodes {
        let uids = || reservations.iter().map(|reservation| &*reservation.uid);
        let tried = self.tried(&pod.uid, uids());
        self.tried.remove(&pod.uid);
        let mut changed = self.forget_decisions(&pod.uid, &uids().collect());
        let nodes: BTreeSet<Arc<str>> = nodes.iter().map(|node| Arc::from(*node)).collect();
        if reservations.is_empty() || nodes.is_empty() {
            return changed;
        }
        changed.extend(nodes.iter().cloned());
        let reservations = reservations.iter();
        // kube-scheduler asks about the node that a pod names alone, and does not write it again.
        let is_named = nodes.len() == 1 && nodes.first() == pod.nominated_node.as_ref();
        let stage = match (self.gone.contains(&pod.uid), is_named) {
            (true, _) => Stage::Gone,
            (false, true) => Stage::Nominated,
            (false, false) => Stage::Open,
        };
        self.add(Decision {
            pod: pod.uid.clone(),
            key: pod.key(),
            version: pod.version,
            reservations: reservations.map(|it| (it.uid.clone(), it.clone())).collect(),
            stage,
            until: Some(now + self.time_limit),
            heard: Some(now),
            // All were tried: it begins again.
            tried: if nodes.is_disjoint(&tried) {
                tried
            } else {
                BTreeSet::new()
            },
            nodes,
        });
        self.recent.truncate(BURST.0 - 1);
        self.recent.push_front(now);
        changed
    }

    /// Ends what was decided for `pod`, as far as its claims are among `claims`.
    fn forget_decisions(&mut self, pod: &str, claims: &HashSet<&str>) -> ChangedNodes {
        let earlier = self.decisions_for(pod, claims.iter().copied());
        let anew = earlier.into_iter().flat_map(|number| self.decide_anew(number, claims));
        anew.collect()
    }

    /// Whether so few pods are on their way that one of them may have a choice of nodes, each of which is kept from others until
    /// kube-scheduler is seen to have taken one.
    #[must_use]
    pub fn is_quiet(&self, now: Instant) -> bool {
        let (many, within) = BURST;
        let is_burst = self.recent.get(many - 1).is_some_and(|first| *first + within > now);
        let unknown = self.decisions.values().filter(|decision| decision.nodes.len() > 1);
        !is_burst && unknown.take(UNKNOWN).count() < UNKNOWN
    }

    /// The nodes on which space is reserved for a claim for the sake of other pods than `pod`; none if there are none.
    #[must_use]
    pub fn nodes_for_other_pods(&self, uid: &str, pod: &str) -> Option<BTreeSet<&str>> {
        let others = self.decisions_of(uid).filter(|(_, decision)| *decision.pod != *pod);
        let nodes: BTreeSet<&str> = others.flat_map(|(_, other)| &other.nodes).map(|node| &**node).collect();
        (!nodes.is_empty()).then_some(nodes)
    }

    /// Of the nodes on which space is reserved for the claims of `pod`, only `nodes` are left for kube-scheduler to take.
    pub fn narrow(&mut self, pod: &str, claims: &[&str], nodes: &[&str]) -> ChangedNodes {
        let mut changed = ChangedNodes::new();
        for number in self.decisions_for(pod, claims.iter().copied()) {
            let left = self.decisions[&number].nodes.iter();
            let left: BTreeSet<_> = left.filter(|node| nodes.contains(&&***node)).cloned().collect();
            if !left.is_empty() {
                changed.append(&mut self.confine(number, &left));
            }
        }
        changed
    }

    /// The cluster shows a claim in this state now.
    pub fn claim_changed(&mut self, uid: &str, state: ClaimState) -> ChangedNodes {
        let before = self.nodes(uid);
        self.made.remove(uid);
        let was_unshown = self.unshown.remove(uid);
        let mut changed = self.follow(uid, state, was_unshown);
        changed.extend(before.symmetric_difference(&self.nodes(uid)).cloned());
        changed
    }

    fn follow(&mut self, uid: &str, state: ClaimState, was_unshown: bool) -> ChangedNodes {
        match state {
            ClaimState::Undecided => self.unassign(uid),
            ClaimState::Assigned(node, shown) => self.assign(node, shown),
            ClaimState::Making(node) => {
                self.is_provisioned(uid);
                let mut changed = self.unassign(uid);
                changed.append(&mut self.carry_out(uid, Some(&node)));
                self.made.insert(uid.into());
                changed
            }
            ClaimState::Bound(node) => {
                self.unshown.insert(uid.into());
                self.keep_until_shown(uid, node.as_ref())
            }
            ClaimState::HasVolume(node) => {
                self.is_provisioned(uid);
                let mut changed = self.unassign(uid);
                changed.append(&mut self.carry_out(uid, node.as_ref()));
                changed.append(&mut self.end_tentative(uid));
                changed
            }
            // Its volume is there, and is erased long after the claim is gone.
            ClaimState::Deleted if was_unshown => self.unassign(uid),
            ClaimState::Deleted => {
                let mut changed = self.unassign(uid);
                changed.append(&mut self.end_tentative(uid));
                changed
            }
        }
    }

    /// Ends the tentative reservations whose time is up at `now`. Nominated ones last.
    pub fn expire(&mut self, now: Instant) -> ChangedNodes {
        self.expire_assigned(now);
        if let Some(number) = self.carried_out.take() {
            for (_, decision) in self.decisions.range_mut(number..) {
                decision.news();
            }
        }
        for decision in self.decisions.values_mut() {
            decision.until.get_or_insert(now + self.time_limit);
            decision.heard.get_or_insert(now);
        }
        let late = self.decisions.iter();
        let late = late.filter(|(_, decision)| decision.stage != Stage::Nominated && decision.until <= Some(now));
        let late: Vec<u64> = late.map(|(number, _)| *number).collect();
        late.into_iter().flat_map(|number| self.revoke(number)).collect()
    }

    /// The space that is reserved on a node, each claim once.
    pub fn reservations_on(&self, node: &str) -> impl Iterator<Item = (&Arc<Reservation>, ReservationState)> {
        let each = self.by_node.claims(node);
        let each = each.filter_map(|(uid, decision)| match decision {
            None => Some((&self.assigned.get(uid)?.reservation, ReservationState::Assigned)),
            Some(_) if self.is_shown(uid) => None,
            Some(number) => {
                let decision = self.decisions.get(number)?;
                Some((decision.reservations.get(uid)?, decision.state()))
            }
        });
        each.filter(|(reservation, _)| reservation.space().is_some())
    }

    /// The `PersistentVolumes` that claims are to be bound to for the sake of other pods than `pod`, with the unique id of the claim.
    #[must_use]
    pub fn promised_to_other_pods(&self, pod: &str) -> HashMap<&str, &str> {
        let others = self.decisions.values().filter(|decision| *decision.pod != *pod);
        let reservations = others.flat_map(|decision| decision.reservations.values());
        let promised = reservations.filter_map(|reservation| match &reservation.reserved {
            Reserved::Volume(volume) => Some((&**volume, &*reservation.uid)),
            Reserved::Space(_) => None,
        });
        promised.collect()
    }

    /// The nodes on which space is reserved for a claim.
    #[must_use]
    pub fn nodes_of(&self, uid: &str) -> BTreeSet<&str> {
        self.each_node(uid).map(|node| &**node).collect()
    }

    fn nodes(&self, uid: &str) -> BTreeSet<Arc<str>> {
        self.each_node(uid).cloned().collect()
    }

    fn each_node(&self, uid: &str) -> impl Iterator<Item = &Arc<str>> {
        let assigned = self.assigned.get(uid).filter(|assigned| assigned.counts());
        let assigned = assigned.map(|assigned| &assigned.node);
        let decisions = self.decisions_of(uid).filter(|_| !self.is_shown(uid));
        let tentative = decisions.flat_map(|(_, decision)| &decision.nodes);
        tentative.chain(assigned)
    }

    /// Whether the cluster shows where the claim goes: decisions do not count then.
    fn is_shown(&self, uid: &str) -> bool {
        self.assigned.get(uid).is_some_and(Assigned::counts) || self.made.contains(uid)
    }

    /// How many claims have a reservation in this state.
    #[must_use]
    pub fn claims(&self, state: ReservationState) -> usize {
        match state {
            ReservationState::Assigned => self.assigned.values().filter(|assigned| assigned.counts()).count(),
            ReservationState::Tentative | ReservationState::Nominated => {
                let not_shown = self.tentative.keys().filter(|uid| !self.is_shown(uid));
                let first = not_shown.filter_map(|uid| Some((uid, self.decisions_of(uid).next()?.1)));
                let takes_space = |uid: &Arc<str>, decision: &Decision| decision.reservations[uid].space().is_some();
                first
                    .filter(|(uid, decision)| decision.state() == state && takes_space(uid, decision))
                    .count()
            }
        }
    }

    /// What was reserved for a claim on `node` that wishes to be together with other volumes of its pod: with whom, and on which NUMA
    /// node if that was settled there. The claim itself shows only the wish of its class, [`NumaWish::Together`].
    fn settled(&self, node: &str, shown: &Reservation) -> Option<Arc<Reservation>> {
        let assigned = self.assigned.get(&shown.uid);
        let assigned = assigned.filter(|assigned| *assigned.node == *node);
        let tentative = self.decisions_of(&shown.uid);
        let tentative = tentative.filter(|(_, decision)| decision.nodes.contains(node));
        let tentative = tentative.filter_map(|(_, decision)| decision.reservations.get(&shown.uid));
        let mut reserved = assigned
            .map(|assigned| &assigned.reservation)
            .into_iter()
            .chain(tentative);
        let as_wished = |reservation: &Reservation| {
            let request = reservation.space()?;
            Some(VolumeRequest {
                numa: NumaWish::Together,
                ..request
            })
        };
        reserved
            .find(|reservation| as_wished(reservation).is_some_and(|request| shown.space() == Some(request)))
            .cloned()
    }

    fn decisions_of(&self, uid: &str) -> impl Iterator<Item = (u64, &Decision)> {
        let numbers = self.tentative.get(uid).into_iter().flatten();
        numbers.filter_map(|number| Some((*number, self.decisions.get(number)?)))
    }

    fn decisions_for<'a>(&self, pod: &str, claims: impl IntoIterator<Item = &'a str>) -> BTreeSet<u64> {
        let all = claims.into_iter().flat_map(|uid| self.decisions_of(uid));
        all.filter(|(_, decision)| *decision.pod == *pod)
            .map(|(number, _)| number)
            .collect()
    }

    /// A claim shows its selected node.
    fn assign(&mut self, node: Arc<str>, shown: Arc<Reservation>) -> ChangedNodes {
        let reservation = self.settled(&node, &shown).unwrap_or(shown);
        let uid = reservation.uid.clone();
        let before = self.assigned.get(&uid);
        if before.is_some_and(|before| before.node == node && before.reservation == reservation) {
            return ChangedNodes::new();
        }
        let mut changed = self.unassign(&uid);
        changed.append(&mut self.carry_out(&uid, Some(&node)));
        self.by_node.put(&uid, None, [&node]);
        changed.insert(node.clone());
        self.assigned.insert(uid, Assigned::new(node, reservation, self.next));
        self.next += 1;
        changed
    }

    /// A claim is bound, but its volume is not shown yet. So its reservation stays on the node, tentative and with a time
    /// limit.
    fn keep_until_shown(&mut self, uid: &str, node: Option<&Arc<str>>) -> ChangedNodes {
        let mut changed = ChangedNodes::new();
        if let Some(Assigned {
            node: on, reservation, ..
        }) = self.assigned.get(uid).filter(|it| it.counts()).cloned()
        {
            changed.append(&mut self.unassign(uid));
            self.add(Decision {
                pod: "".into(),
                key: ObjectKey::new("", ""),
                version: 0,
                reservations: [(reservation.uid.clone(), reservation)].into(),
                nodes: [on].into(),
                stage: Stage::UnderWay,
                until: None,
                heard: None,
                tried: BTreeSet::new(),
            });
        }
        if let Some(node) = node {
            for number in self.tentative.get(uid).cloned().unwrap_or_default() {
                changed.append(&mut self.confine(number, &[node.clone()].into()));
            }
        }
        changed
    }

    fn add(&mut self, decision: Decision) {
        for uid in decision.reservations.keys() {
            self.tentative.entry(uid.clone()).or_default().insert(self.next);
            self.by_node.put(uid, Some(self.next), &decision.nodes);
        }
        self.decisions.insert(self.next, decision);
        self.next += 1;
    }

    /// A claim went to a node. The other claims of its pods go there as well, if that was decided.
    fn carry_out(&mut self, uid: &str, node: Option<&Arc<str>>) -> ChangedNodes {
        let numbers = self.tentative.get(uid).cloned().unwrap_or_default();
        self.carried_out = self.carried_out.into_iter().chain(numbers.first().copied()).min();
        let mut changed = ChangedNodes::new();
        for number in numbers {
            let decided = self.decisions.get(&number);
            if let Some(node) = node.filter(|node| decided.is_some_and(|decision| decision.nodes.contains(*node))) {
                changed.append(&mut self.confine(number, &[node.clone()].into()));
            }
        }
        changed
    }

    /// A decision, if there still is one of that number, is for `nodes` from now on.
    fn confine(&mut self, number: u64, nodes: &BTreeSet<Arc<str>>) -> ChangedNodes {
        let Some(decision) = self.decisions.get_mut(&number) else {
            return ChangedNodes::new();
        };
        let before = std::mem::replace(&mut decision.nodes, nodes.clone());
        for uid in decision.reservations.keys() {
            self.by_node.remove(uid, Some(number), &before);
            self.by_node.put(uid, Some(number), nodes);
        }
        before.symmetric_difference(nodes).cloned().collect()
    }

    /// A decision for a pod is made anew, as far as its claims are among `claims`. Another one of them has its volume by now, which
    /// the watches may not have shown: it keeps its space until they do, or its time is up.
    fn decide_anew(&mut self, number: u64, claims: &HashSet<&str>) -> ChangedNodes {
        let Some(mut decision) = self.take(number) else {
            return ChangedNodes::new();
        };
        let changed = decision.nodes.clone();
        decision.reservations.retain(|uid, _| !claims.contains(&**uid));
        if !decision.reservations.is_empty() {
            decision.pod = "".into();
            decision.enter(Stage::UnderWay);
            self.add(decision);
        }
        changed
    }

    /// Ends a whole decision.
    fn revoke(&mut self, number: u64) -> ChangedNodes {
        self.take(number)
            .map_or_else(ChangedNodes::new, |decision| decision.nodes)
    }

    fn take(&mut self, number: u64) -> Option<Decision> {
        let decision = self.decisions.remove(&number)?;
        for uid in decision.reservations.keys() {
            self.by_node.remove(uid, Some(number), &decision.nodes);
            if let Some(numbers) = self.tentative.get_mut(uid) {
                numbers.remove(&number);
                if numbers.is_empty() {
                    self.tentative.remove(uid);
                }
            }
        }
        Some(decision)
    }

    /// Ends all tentative reservations of a claim.
    fn end_tentative(&mut self, uid: &str) -> ChangedNodes {
        let mut changed = ChangedNodes::new();
        for number in self.tentative.remove(uid).unwrap_or_default() {
            let Some(decision) = self.decisions.get_mut(&number) else {
                continue;
            };
            decision.reservations.remove(uid);
            let nodes = decision.nodes.clone();
            if decision.reservations.is_empty() {
                self.decisions.remove(&number);
            }
            self.by_node.remove(uid, Some(number), &nodes);
            changed.extend(nodes);
        }
        changed
    }

    /// Ends the assigned reservation of a claim, if there is one.
    fn unassign(&mut self, uid: &str) -> ChangedNodes {
        let Some(assigned) = self.assigned.remove(uid) else {
            return ChangedNodes::new();
        };
        if !assigned.counts() {
            return ChangedNodes::new();
        }
        let node = [assigned.node].into();
        self.by_node.remove(uid, None, &node);
        node
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new(DEFAULT_TIME_LIMIT)
    }
}
