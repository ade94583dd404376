//! The ledger: what is reserved where, whatever happens. The simulation sees it in what really comes after what; at random there is also
//! what no cluster shows in that order, decisions on several nodes that are narrowed later, and each change has to be told at once.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::{ObjectKey, Pod};
use extender::ledger::{
    ChangedNodes, ClaimState, Finding, HEARD_WITHIN, Ledger, NEGLECTED_AFTER, Reservation, ReservationState, Reserved,
};
use placement::{Bytes, MapLocation, Mode, NumaWish, VolumeRequest};
use proptest::prelude::*;

pub const TIME_LIMIT: Duration = Duration::from_secs(100);

fn reservation(uid: &str) -> Arc<Reservation> {
    let request = VolumeRequest {
        required: Bytes::mib(1),
        limit: None,
        mode: Mode::Fsdax(MapLocation::Dev),
        numa: NumaWish::Any,
    };
    Arc::new(Reservation {
        uid: uid.into(),
        claim: ObjectKey::new("ns", uid),
        pod: None,
        reserved: Reserved::Space(request),
    })
}

/// Of this unique id, and an unknown version.
pub fn pod(uid: &str) -> Pod {
    Pod::new("ns", uid, uid, [])
}

/// The pod at this version, naming this node or, if that is empty, none.
pub fn pod_at(uid: &str, version: u64, node: &str) -> Pod {
    pod(uid).at(&version.to_string(), node)
}

pub fn reservations(uids: &[&str]) -> Vec<Arc<Reservation>> {
    uids.iter().map(|uid| reservation(uid)).collect()
}

fn on(ledger: &Ledger, node: &str) -> Vec<String> {
    ledger
        .reservations_on(node)
        .map(|(reservation, _)| reservation.uid.to_string())
        .collect()
}

pub fn changed(nodes: &[&str]) -> ChangedNodes {
    nodes.iter().map(|node| Arc::from(*node)).collect()
}

#[test]
fn a_reservation_is_tentative_until_the_claim_shows_its_node() {
    let (mut ledger, now) = (Ledger::new(TIME_LIMIT), Instant::now());
    assert_eq!(
        ledger.reserve(&pod("p"), &reservations(&["a", "b"]), &["n", "m"], now),
        changed(&["m", "n"])
    );
    assert_eq!(
        (on(&ledger, "n"), on(&ledger, "m")),
        (vec!["a".into(), "b".into()], vec!["a".into(), "b".into()])
    );
    // One claim shows the node: the other one goes there as well.
    ledger.claim_changed("a", ClaimState::Assigned("n".into(), reservation("a")));
    assert_eq!((on(&ledger, "n").len(), on(&ledger, "m").len()), (2, 0));
    assert_eq!(
        ledger.reservations_on("n").map(|(_, state)| state).collect::<Vec<_>>(),
        [ReservationState::Assigned, ReservationState::Tentative]
    );
    ledger.claim_changed("a", ClaimState::HasVolume(Some("n".into())));
    ledger.claim_changed("b", ClaimState::HasVolume(Some("n".into())));
    assert_eq!(on(&ledger, "n"), [""; 0]);
}

#[test]
fn what_the_cluster_shows_wins() {
    let (mut ledger, now) = (Ledger::new(TIME_LIMIT), Instant::now());
    ledger.reserve(&pod("p"), &reservations(&["a"]), &["n"], now);
    ledger.claim_changed("a", ClaimState::Assigned("elsewhere".into(), reservation("a")));
    assert_eq!((on(&ledger, "n").len(), on(&ledger, "elsewhere").len()), (0, 1));
    // That was from before the decision, which counts again.
    assert_eq!(
        ledger.claim_changed("a", ClaimState::Undecided),
        changed(&["elsewhere", "n"])
    );
    assert_eq!(ledger.nodes_of("a"), ["n"].into());
    ledger.claim_changed("a", ClaimState::Making("elsewhere".into()));
    assert!(ledger.nodes_of("a").is_empty(), "its volume counts itself");
    ledger.claim_changed("a", ClaimState::Undecided);
    assert_eq!(ledger.nodes_of("a"), ["n"].into());
    ledger.expire(now + TIME_LIMIT);
    ledger.expire(now + TIME_LIMIT * 2);
    assert!(ledger.nodes_of("a").is_empty());
}

/// The watch is behind: pod and claim had a node before, which external-provisioner took away when the pod was deleted.
#[test]
fn what_was_shown_before_a_decision_does_not_end_it() {
    let (mut ledger, now) = (Ledger::new(TIME_LIMIT), Instant::now());
    ledger.claim_changed("a", ClaimState::Assigned("n".into(), reservation("a")));
    ledger.reserve(&pod("q"), &reservations(&["a", "b"]), &["n"], now);
    assert_eq!(on(&ledger, "n"), ["a", "b"]);
    ledger.claim_changed("a", ClaimState::Undecided);
    ledger.claim_changed("b", ClaimState::Assigned("n".into(), reservation("b")));
    ledger.claim_changed("b", ClaimState::Undecided);
    assert_eq!(on(&ledger, "n"), ["a", "b"]);
}

#[test]
fn a_pod_that_is_decided_anew_gives_back_what_it_had() {
    let (mut ledger, now) = (Ledger::new(TIME_LIMIT), Instant::now());
    ledger.reserve(&pod("p"), &reservations(&["a", "b"]), &["n"], now);
    assert_eq!(ledger.tried("p", ["a"]), changed(&["n"]));
    // The pod comes again, and fits nowhere.
    ledger.reserve(&pod("p"), &reservations(&["a", "b"]), &[], now);
    assert_eq!((on(&ledger, "n").len(), ledger.tried("p", ["a"]).len()), (0, 0));
}

/// kube-scheduler was killed after the first claim, which is bound by now; the watches have not shown that.
#[test]
fn what_a_pod_asks_for_no_more_keeps_its_space_until_that_is_shown() {
    let (mut ledger, now) = (Ledger::new(TIME_LIMIT), Instant::now());
    ledger.reserve(&pod("p"), &reservations(&["a", "b"]), &["n"], now);
    ledger.reserve(&pod("p"), &reservations(&["b"]), &["n"], now);
    assert_eq!(on(&ledger, "n"), ["a", "b"]);
    ledger.reserve(&pod("p"), &reservations(&["b"]), &[], now);
    assert_eq!(on(&ledger, "n"), ["a"]);
    ledger.claim_changed("a", ClaimState::HasVolume(Some("n".into())));
    assert_eq!(on(&ledger, "n"), [""; 0]);
}

/// Found by the simulation: the watch of volumes was behind that of claims, and the claim came and went before its volume was shown.
#[test]
fn a_claim_that_was_bound_keeps_its_space_until_its_volume_is_shown_though_it_is_deleted() {
    let (mut ledger, now) = (Ledger::new(TIME_LIMIT), Instant::now());
    for ends in [false, true] {
        ledger.claim_changed("a", ClaimState::Assigned("n".into(), reservation("a")));
        ledger.claim_changed("a", ClaimState::Bound(Some("n".into())));
        ledger.claim_changed("a", ClaimState::Deleted);
        assert_eq!(on(&ledger, "n"), ["a"]);
        if ends {
            ledger.claim_changed("a", ClaimState::HasVolume(None));
        } else {
            ledger.expire(now);
            ledger.expire(now + TIME_LIMIT);
        }
        assert_eq!(on(&ledger, "n"), [""; 0]);
    }
}

#[test]
fn a_claim_that_two_pods_share_is_reserved_once() {
    let (mut ledger, now) = (Ledger::new(TIME_LIMIT), Instant::now());
    ledger.reserve(&pod("p"), &reservations(&["a", "shared"]), &["n"], now);
    assert_eq!(ledger.nodes_for_other_pods("shared", "q"), Some(["n"].into()));
    assert_eq!(ledger.nodes_for_other_pods("shared", "p"), None);
    ledger.reserve(&pod("q"), &reservations(&["b", "shared"]), &["n"], now);
    assert_eq!(on(&ledger, "n"), ["a", "b", "shared"]);
    // The second pod comes again and fits nowhere: the first one is still on its way.
    ledger.reserve(&pod("q"), &reservations(&["b", "shared"]), &[], now);
    assert_eq!(on(&ledger, "n"), ["a", "shared"]);
    ledger.claim_changed("shared", ClaimState::Deleted);
    assert_eq!(on(&ledger, "n"), ["a"]);
}

#[test]
fn an_assigned_claim_stays_assigned() {
    let (mut ledger, now) = (Ledger::new(TIME_LIMIT), Instant::now());
    ledger.claim_changed("a", ClaimState::Assigned("n".into(), reservation("a")));
    ledger.reserve(&pod("p"), &reservations(&["a"]), &["m"], now);
    assert_eq!(ledger.nodes_of("a"), ["n"].into());
    ledger.expire(now + TIME_LIMIT * 9);
    assert_eq!(on(&ledger, "n"), ["a"]);
}

#[test]
fn what_another_extender_took_out_is_not_reserved_any_more() {
    let (mut ledger, now) = (Ledger::new(TIME_LIMIT), Instant::now());
    ledger.reserve(&pod("p"), &reservations(&["a"]), &["k", "m", "n"], now);
    assert_eq!(ledger.narrow("p", &["a"], &["n", "m"]), changed(&["k"]));
    assert_eq!(ledger.narrow("another", &["a"], &["n"]), ChangedNodes::new());
    assert_eq!(ledger.nodes_of("a"), ["m", "n"].into());
}

#[test]
fn time_runs_out_unless_older_decisions_are_still_on_their_way() {
    let (mut ledger, now) = (Ledger::new(TIME_LIMIT), Instant::now());
    let later = now + TIME_LIMIT / 2;
    for name in ["first", "second", "lost"] {
        ledger.reserve(&pod(name), &reservations(&[name]), &["n"], now);
    }
    ledger.claim_changed("second", ClaimState::Assigned("n".into(), reservation("second")));
    ledger.expire(later);
    // The one before it is late; the one behind it has its whole time again.
    assert_eq!(ledger.expire(now + TIME_LIMIT), changed(&["n"]));
    assert_eq!((ledger.nodes_of("first").len(), ledger.nodes_of("lost").len()), (0, 1));
    // What is decided after it does not keep it.
    ledger.reserve(&pod("young"), &reservations(&["young"]), &["n"], now + TIME_LIMIT);
    ledger.claim_changed("young", ClaimState::HasVolume(None));
    ledger.expire(later + TIME_LIMIT);
    assert_eq!(on(&ledger, "n"), ["second"]);
}

#[test]
fn a_bound_claim_keeps_its_space_until_its_volume_is_shown_or_time_is_up() {
    let (mut ledger, now) = (Ledger::new(TIME_LIMIT), Instant::now());
    for (claim, name) in [("assigned", ""), ("tentative", "p")] {
        match name {
            "" => ledger.claim_changed(claim, ClaimState::Assigned("n".into(), reservation(claim))),
            name => ledger.reserve(&pod(name), &reservations(&[claim]), &["m", "n"], now),
        };
        ledger.claim_changed(claim, ClaimState::Bound(Some("n".into())));
    }
    assert_eq!((on(&ledger, "n").len(), on(&ledger, "m").len()), (2, 0));
    ledger.expire(now);
    ledger.claim_changed("tentative", ClaimState::HasVolume(Some("n".into())));
    assert_eq!(on(&ledger, "n"), ["assigned"]);
    ledger.expire(now + TIME_LIMIT);
    ledger.expire(now + TIME_LIMIT * 2);
    assert_eq!(on(&ledger, "n"), [""; 0]);
    // Nothing was ever reserved for it.
    assert_eq!(
        ledger.claim_changed("other", ClaimState::Bound(Some("n".into()))),
        ChangedNodes::new()
    );
}

/// The earliest sign of what kube-scheduler took lets the other nodes go, and has no time limit.
#[test]
fn what_a_pod_names_is_kept_as_long_as_it_names_it() {
    let (mut ledger, now) = (Ledger::new(TIME_LIMIT), Instant::now());
    let own = reservations(&["a"]);
    ledger.reserve(&pod_at("p", 5, ""), &own, &["k", "m", "n"], now);
    // From before the decision: an earlier attempt, which failed.
    assert_eq!(ledger.pod_shown(&pod_at("p", 4, "k"), &[]), ChangedNodes::new());
    assert_eq!(ledger.pod_shown(&pod_at("p", 6, "m"), &own), changed(&["k", "n"]));
    assert_eq!(
        (ledger.nodes_of("a"), ledger.claims(ReservationState::Nominated)),
        (["m"].into(), 1)
    );
    for limits in 1..4 {
        ledger.expire(now + TIME_LIMIT * limits);
    }
    assert_eq!(on(&ledger, "m"), ["a"]);
    assert_eq!(ledger.doubtful(now + TIME_LIMIT * 4), []);
    // The pod does not wait in Permit any more.
    ledger.pod_shown(&pod_at("p", 7, ""), &[]);
    let doubts = ledger.doubtful(now + TIME_LIMIT * 4);
    assert_eq!((doubts.len(), on(&ledger, "m")), (1, vec!["a".into()]));
    assert_eq!(ledger.settle(&doubts[0], Finding::GivenUp), changed(&["m"]));
    assert_eq!(ledger.nodes_of("a").len(), 0);
    // It comes back: another node is for it to be tried.
    assert_eq!(ledger.tried("p", ["a"]), changed(&["m"]));
    ledger.pod_gone("p");
    assert_eq!(ledger.tried("p", ["a"]), changed(&[]));
}

/// kube-scheduler asked just before it saw that the pod is deleted.
#[test]
fn a_pod_that_is_asked_for_once_it_is_gone_holds_nothing_for_long() {
    let (mut ledger, now) = (Ledger::new(TIME_LIMIT), Instant::now());
    ledger.pod_gone("p");
    ledger.reserve(&pod_at("p", 1, ""), &reservations(&["a"]), &["n"], now);
    assert_eq!(ledger.doubtful(now), []);
    let doubts = ledger.doubtful(now + HEARD_WITHIN);
    assert_eq!(ledger.settle(&doubts[0], Finding::PodGone), changed(&["n"]));
    // It is there again: etcd was restored.
    ledger.pod_shown(&pod_at("p", 2, ""), &[]);
    ledger.reserve(&pod_at("p", 2, ""), &reservations(&["a"]), &["n"], now);
    assert_eq!(ledger.doubtful(now + HEARD_WITHIN), []);
}

/// The watch of claims is behind that of pods.
#[test]
fn a_decision_that_was_carried_out_unseen_is_kept() {
    let (mut ledger, now) = (Ledger::new(TIME_LIMIT), Instant::now());
    ledger.reserve(&pod_at("p", 1, ""), &reservations(&["a"]), &["n"], now);
    ledger.pod_shown(&pod_at("p", 2, "n"), &[]);
    ledger.pod_gone("p");
    ledger.expire(now);
    assert_eq!(ledger.doubtful(now), []);
    let doubts = ledger.doubtful(now + HEARD_WITHIN);
    ledger.settle(&doubts[0], Finding::UnderWay);
    assert_eq!(
        (on(&ledger, "n"), ledger.doubtful(now + HEARD_WITHIN)),
        (vec!["a".into()], vec![])
    );
    ledger.expire(now + HEARD_WITHIN);
    ledger.expire(now + HEARD_WITHIN + TIME_LIMIT);
    assert_eq!(on(&ledger, "n"), [""; 0]);
}

/// kube-scheduler writes the claims of a pod one after the other, also of one that was deleted meanwhile.
#[test]
fn a_decision_of_which_a_claim_is_written_is_heard_of() {
    let (mut ledger, now) = (Ledger::new(TIME_LIMIT), Instant::now());
    ledger.reserve(&pod_at("p", 1, ""), &reservations(&["a", "b"]), &["n"], now);
    ledger.pod_gone("p");
    ledger.expire(now);
    ledger.claim_changed("a", ClaimState::Assigned("n".into(), reservation("a")));
    ledger.expire(now + HEARD_WITHIN / 2);
    ledger.claim_changed("a", ClaimState::HasVolume(Some("n".into())));
    ledger.expire(now + HEARD_WITHIN);
    assert_eq!(ledger.doubtful(now + HEARD_WITHIN), []);
    assert_eq!(ledger.doubtful(now + HEARD_WITHIN * 2).len(), 1);
}

/// A gang whose members passed, and which another plugin refused before any of them was written.
#[test]
fn where_pods_name_their_nodes_silence_is_doubtful() {
    let (mut ledger, now) = (Ledger::new(TIME_LIMIT), Instant::now());
    ledger.reserve(&pod_at("p", 1, ""), &reservations(&["a"]), &["n"], now);
    // kube-scheduler before 1.35 names none.
    assert_eq!(ledger.doubtful(now + HEARD_WITHIN), []);
    ledger.reserve(&pod_at("q", 1, ""), &reservations(&["b"]), &["m"], now);
    ledger.pod_shown(&pod_at("q", 2, "m"), &[]);
    let doubts = ledger.doubtful(now + HEARD_WITHIN);
    assert_eq!(doubts.iter().map(|doubt| &*doubt.pod_uid).collect::<Vec<_>>(), ["p"]);
    // It is named while the pod is read.
    ledger.pod_shown(&pod_at("p", 2, "n"), &[]);
    ledger.settle(&doubts[0], Finding::GivenUp);
    assert_eq!(on(&ledger, "n"), ["a"]);
}

/// Of another scheduler, or from before a restart.
#[test]
fn what_a_pod_names_is_reserved_whoever_decided_it() {
    let mut ledger = Ledger::new(TIME_LIMIT);
    let own = reservations(&["a", "b"]);
    assert_eq!(ledger.pod_shown(&pod_at("p", 3, "n"), &own), changed(&["n"]));
    assert_eq!(ledger.pod_shown(&pod_at("p", 4, "n"), &own), changed(&[]));
    assert_eq!(on(&ledger, "n"), ["a", "b"]);
    ledger.claim_changed("a", ClaimState::Assigned("n".into(), reservation("a")));
    ledger.claim_changed("a", ClaimState::HasVolume(Some("n".into())));
    assert_eq!(on(&ledger, "n"), ["b"]);
    ledger.pod_shown(&pod_at("p", 5, "m"), &reservations(&["b"]));
    assert_eq!(on(&ledger, "m"), ["b"]);
    let doubts = ledger.doubtful(Instant::now());
    ledger.settle(&doubts[0], Finding::GivenUp);
    assert_eq!((on(&ledger, "n").len(), on(&ledger, "m").len()), (0, 1));
}

#[test]
fn few_pods_have_a_choice_and_many_have_none() {
    let (mut ledger, now) = (Ledger::new(TIME_LIMIT), Instant::now());
    let names: Vec<String> = (0..16).map(|number| format!("p{number}")).collect();
    for name in &names[..4] {
        assert!(ledger.is_quiet(now));
        ledger.reserve(&pod_at(name, 1, ""), &reservations(&[name]), &["m", "n"], now);
    }
    assert!(!ledger.is_quiet(now), "of four it is not known where they go");
    ledger.pod_shown(&pod_at("p0", 2, "n"), &[]);
    assert!(ledger.is_quiet(now));
    for name in &names[4..] {
        ledger.reserve(&pod_at(name, 1, ""), &reservations(&[name]), &["n"], now);
    }
    assert!(!ledger.is_quiet(now), "sixteen at once are a burst");
    assert!(ledger.is_quiet(now + Duration::from_secs(10)));
}

fn assigned(claim: &str) -> ClaimState {
    ClaimState::Assigned("n".into(), reservation(claim))
}

fn neglected(ledger: &Ledger, now: Instant) -> Vec<String> {
    let neglected = ledger.neglected(now).into_iter();
    let mut claims: Vec<String> = neglected
        .map(|neglected| neglected.reservation.uid.to_string())
        .collect();
    claims.sort_unstable();
    claims
}

#[test]
fn a_selected_node_where_nothing_is_done_is_reserved_for_a_time() {
    let (mut ledger, now) = (Ledger::new(TIME_LIMIT), Instant::now());
    for claim in ["a", "b", "c"] {
        ledger.claim_changed(claim, assigned(claim));
    }
    ledger.expire(now);
    assert_eq!(neglected(&ledger, now + NEGLECTED_AFTER / 2), [""; 0]);
    assert_eq!(neglected(&ledger, now + NEGLECTED_AFTER), ["a", "b", "c"]);
    // "b" gets its volume: "c" may have been waiting for that, "a" was not.
    ledger.claim_changed("b", ClaimState::Making("n".into()));
    ledger.expire(now + NEGLECTED_AFTER);
    assert_eq!(neglected(&ledger, now + NEGLECTED_AFTER), ["a"]);
    let found = ledger.neglected(now + NEGLECTED_AFTER).remove(0);
    assert_eq!(ledger.end_neglected(&found), (true, changed(&["n"])));
    assert_eq!((on(&ledger, "n"), ledger.nodes_of("a").len()), (vec!["c".into()], 0));
    assert!(!ledger.end_neglected(&found).0);
    // It is shown again as it is, by a list; then with another node.
    assert_eq!(ledger.claim_changed("a", assigned("a")), ChangedNodes::new());
    ledger.claim_changed("a", ClaimState::Assigned("m".into(), reservation("a")));
    assert_eq!(on(&ledger, "m"), ["a"]);
}

#[test]
fn a_claim_whose_pod_names_the_node_is_not_neglected() {
    let (mut ledger, now) = (Ledger::new(TIME_LIMIT), Instant::now());
    ledger.pod_shown(&pod_at("p", 1, "n"), &reservations(&["a"]));
    ledger.claim_changed("a", assigned("a"));
    ledger.expire(now);
    ledger.expire(now + NEGLECTED_AFTER);
    assert_eq!(neglected(&ledger, now + NEGLECTED_AFTER), [""; 0]);
    ledger.pod_gone("p");
    ledger.expire(now + NEGLECTED_AFTER);
    assert_eq!(neglected(&ledger, now + NEGLECTED_AFTER * 2), ["a"]);
    // The watches were behind.
    let found = ledger.neglected(now + NEGLECTED_AFTER * 2).remove(0);
    ledger.is_not_neglected(&found);
    ledger.expire(now + NEGLECTED_AFTER * 2);
    assert_eq!(
        (neglected(&ledger, now + NEGLECTED_AFTER * 2), on(&ledger, "n")),
        (vec![], vec!["a".into()])
    );
}

/// Its pod is decided on again: it counts for that, on the node that it still shows.
#[test]
fn a_neglected_claim_is_reserved_again_with_its_pod() {
    let (mut ledger, now) = (Ledger::new(TIME_LIMIT), Instant::now());
    ledger.claim_changed("a", assigned("a"));
    ledger.expire(now);
    let found = ledger.neglected(now + NEGLECTED_AFTER).remove(0);
    ledger.end_neglected(&found);
    ledger.reserve(
        &pod_at("p", 1, ""),
        &reservations(&["a"]),
        &["n"],
        now + NEGLECTED_AFTER,
    );
    assert_eq!(
        (on(&ledger, "n"), ledger.claims(ReservationState::Tentative)),
        (vec!["a".into()], 1)
    );
    ledger.claim_changed("a", ClaimState::HasVolume(Some("n".into())));
    assert_eq!(on(&ledger, "n"), [""; 0]);
}

#[derive(Clone, Debug)]
enum Step {
    Decide(usize, Vec<usize>, Vec<usize>),
    Assign(usize, usize),
    Making(usize, usize),
    MakeVolume(usize, Option<usize>),
    Bind(usize, Option<usize>),
    Undecide(usize),
    Delete(usize),
    Narrow(usize, Vec<usize>, Vec<usize>),
    Wait(u64),
    /// The pod names a node, for some of its claims.
    Name(usize, Vec<usize>, Option<usize>),
    /// The pod is deleted or bound.
    Leave(usize),
    /// Each of these pods is decided on, as a member of one gang, for its claim and these nodes.
    Cycle(Vec<(usize, Vec<usize>)>),
    /// Whatever is in doubt is looked at: a member of a gang that gave up, or the other scheduler is at it.
    LookCloser(bool),
}

impl Step {
    /// The claim that the cluster shows something new of.
    fn news_of(&self) -> Option<&'static str> {
        match self {
            Self::Assign(claim, _)
            | Self::Making(claim, _)
            | Self::MakeVolume(claim, _)
            | Self::Bind(claim, _)
            | Self::Undecide(claim)
            | Self::Delete(claim) => Some(NAMES[*claim]),
            _ => None,
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let some = || prop::collection::vec(0..5_usize, 0..4);
    prop_oneof![
        4 => (0..4_usize, some(), some()).prop_map(|(pod, claims, nodes)| Step::Decide(pod, claims, nodes)),
        2 => (0..5_usize, 0..5_usize).prop_map(|(claim, node)| Step::Assign(claim, node)),
        1 => (0..5_usize, 0..5_usize).prop_map(|(claim, node)| Step::Making(claim, node)),
        1 => (0..5_usize, prop::option::of(0..5_usize)).prop_map(|(claim, node)| Step::MakeVolume(claim, node)),
        1 => (0..5_usize, prop::option::of(0..5_usize)).prop_map(|(claim, node)| Step::Bind(claim, node)),
        1 => (0..5_usize).prop_map(Step::Undecide),
        1 => (0..5_usize).prop_map(Step::Delete),
        1 => (0..4_usize, some(), some()).prop_map(|(pod, claims, nodes)| Step::Narrow(pod, claims, nodes)),
        1 => (1..60_u64).prop_map(Step::Wait),
        3 => (0..4_usize, some(), prop::option::of(0..5_usize)).prop_map(|(pod, claims, node)| Step::Name(pod, claims, node)),
        1 => (0..4_usize).prop_map(Step::Leave),
        1 => any::<bool>().prop_map(Step::LookCloser),
        2 => prop::collection::btree_map(0..4_usize, some(), 1..4).prop_map(|members| Step::Cycle(members.into_iter().collect())),
    ]
}

const NAMES: [&str; 5] = ["0", "1", "2", "3", "4"];

fn names(of: &[usize]) -> Vec<&'static str> {
    of.iter().map(|n| NAMES[*n]).collect()
}

/// Where space may be reserved for each claim, at most, by the rules alone: whatever was said of it last.
#[derive(Default)]
struct Model {
    /// For each claim, by pod.
    tentative: HashMap<&'static str, HashMap<usize, BTreeSet<&'static str>>>,
    assigned: HashMap<&'static str, &'static str>,
    made: HashSet<&'static str>,
    /// Bound, and its volume was not shown.
    unshown: HashSet<&'static str>,
    /// Claims that showed something, ever.
    told: HashSet<&'static str>,
    /// Pods that did not always ask for the same. There are none, and what is reserved for them is what they asked for first.
    inconstant: HashSet<usize>,
    /// What each pod asked for, ever.
    asked: HashMap<usize, BTreeSet<&'static str>>,
    /// Pods that name a node, for claims that showed nothing, and of which nothing else was heard since.
    nominated: HashMap<usize, (Vec<&'static str>, &'static str)>,
}

impl Model {
    fn step(&mut self, step: &Step) {
        self.note_nominated(step);
        let was_unshown = step.news_of().is_some_and(|claim| {
            self.made.remove(claim);
            self.unshown.remove(claim)
        });
        match step {
            Step::Decide(pod, claims, nodes) => self.decide(*pod, &names(claims), &names(nodes)),
            Step::Cycle(members) => {
                for (pod, nodes) in members {
                    self.decide(*pod, &[NAMES[*pod]], &names(nodes));
                }
            }
            Step::Assign(claim, node) => {
                self.assigned.insert(NAMES[*claim], NAMES[*node]);
            }
            Step::Making(claim, _) => {
                self.assigned.remove(NAMES[*claim]);
                self.made.insert(NAMES[*claim]);
            }
            Step::Delete(claim) if was_unshown => {
                self.assigned.remove(NAMES[*claim]);
            }
            Step::MakeVolume(claim, _) | Step::Delete(claim) => {
                self.tentative.remove(NAMES[*claim]);
                self.assigned.remove(NAMES[*claim]);
            }
            Step::Bind(claim, _) => {
                self.unshown.insert(NAMES[*claim]);
                if let Some(node) = self.assigned.remove(NAMES[*claim]) {
                    let tentative = self.tentative.entry(NAMES[*claim]).or_default();
                    tentative.entry(usize::MAX).or_default().insert(node);
                }
            }
            Step::Undecide(claim) => {
                self.assigned.remove(NAMES[*claim]);
            }
            Step::Name(pod, claims, Some(node)) => {
                for claim in names(claims) {
                    let by_pod = self.tentative.entry(claim).or_default();
                    by_pod.entry(*pod).or_default().insert(NAMES[*node]);
                }
            }
            Step::Name(..) | Step::Narrow(..) | Step::Wait(_) | Step::Leave(_) | Step::LookCloser(_) => {}
        }
    }

    fn decide(&mut self, pod: usize, claims: &[&'static str], nodes: &[&'static str]) {
        self.leave(pod, claims);
        for claim in claims {
            let nodes = nodes.iter().copied().collect();
            self.tentative.entry(claim).or_default().insert(pod, nodes);
        }
    }

    /// Claims of a pod follow each other, so that news of one says something of all that it ever asked for.
    fn note_nominated(&mut self, step: &Step) {
        match step {
            Step::Decide(pod, claims, _) | Step::Narrow(pod, claims, _) | Step::Name(pod, claims, None) => {
                self.asks(*pod, &names(claims));
            }
            Step::Name(pod, claims, Some(node)) => {
                self.asks(*pod, &names(claims));
                if !self.inconstant.contains(pod) {
                    let untold = names(claims).into_iter().filter(|claim| !self.told.contains(claim));
                    self.nominated.insert(*pod, (untold.collect(), NAMES[*node]));
                }
            }
            Step::Cycle(members) => members.iter().for_each(|(pod, _)| self.asks(*pod, &[NAMES[*pod]])),
            Step::Leave(pod) => drop(self.nominated.remove(pod)),
            _ => {}
        }
        if let Some(claim) = step.news_of() {
            self.told.insert(claim);
            let asked = &self.asked;
            self.nominated.retain(|pod, _| !asked[pod].contains(claim));
        }
    }

    fn asks(&mut self, pod: usize, claims: &[&'static str]) {
        self.nominated.remove(&pod);
        let now: BTreeSet<_> = claims.iter().copied().collect();
        let asked = self.asked.entry(pod).or_insert_with(|| now.clone());
        if *asked != now {
            self.inconstant.insert(pod);
            asked.extend(now);
        }
    }

    /// What a pod asked for before and asks for no more may be kept for nobody.
    fn leave(&mut self, pod: usize, claims: &[&str]) {
        for (_, by_pod) in self.tentative.iter_mut().filter(|(claim, _)| !claims.contains(claim)) {
            let left = by_pod.get(&pod).cloned().unwrap_or_default();
            by_pod.entry(usize::MAX).or_default().extend(left);
        }
    }

    /// A pod's claims follow each other, so a reservation may also be on a node where another claim of it went.
    fn allows(&self, claim: &str, node: &str, went: &BTreeSet<&str>) -> bool {
        match self.assigned.get(claim) {
            Some(assigned) => *assigned == node,
            None if self.made.contains(claim) => false,
            None => self
                .tentative
                .get(claim)
                .is_some_and(|tentative| tentative.values().any(|nodes| nodes.contains(node)) || went.contains(node)),
        }
    }
}

proptest! {
    #[test]
    fn reservations_are_where_they_were_made_and_nowhere_else(steps in prop::collection::vec(step(), 1..60)) {
        let (mut ledger, mut now, mut model) = (Ledger::new(TIME_LIMIT), Instant::now(), Model::default());
        let mut went = BTreeSet::new();
        let mut version = 0;
        let mut named: HashMap<usize, &str> = HashMap::new();
        for step in steps {
            version += 1;
            let before: Vec<_> = NAMES.iter().map(|node| on(&ledger, node)).collect();
            let changed = match &step {
                Step::Decide(pod, claims, nodes) => {
                    // It is asked for by name of the node, or not.
                    let at = pod_at(&format!("pod{pod}"), version, named.get(pod).copied().unwrap_or_default());
                    ledger.reserve(&at, &reservations(&names(claims)), &names(nodes), now)
                }
                Step::Assign(claim, node) => {
                    went.insert(NAMES[*node]);
                    ledger.claim_changed(NAMES[*claim], ClaimState::Assigned(NAMES[*node].into(), reservation(NAMES[*claim])))
                }
                Step::Making(claim, node) => {
                    went.insert(NAMES[*node]);
                    ledger.claim_changed(NAMES[*claim], ClaimState::Making(NAMES[*node].into()))
                }
                Step::MakeVolume(claim, node) => {
                    went.extend(node.map(|node| NAMES[node]));
                    ledger.claim_changed(NAMES[*claim], ClaimState::HasVolume(node.map(|node| NAMES[node].into())))
                }
                Step::Bind(claim, node) => {
                    went.extend(node.map(|node| NAMES[node]));
                    ledger.claim_changed(NAMES[*claim], ClaimState::Bound(node.map(|node| NAMES[node].into())))
                }
                Step::Undecide(claim) => ledger.claim_changed(NAMES[*claim], ClaimState::Undecided),
                Step::Delete(claim) => ledger.claim_changed(NAMES[*claim], ClaimState::Deleted),
                Step::Narrow(pod, claims, nodes) => ledger.narrow(&format!("pod{pod}"), &names(claims), &names(nodes)),
                Step::Name(pod, claims, node) => {
                    let node = node.map(|node| NAMES[node]);
                    let own = reservations(&names(claims));
                    named.remove(pod);
                    named.extend(node.map(|node| (*pod, node)));
                    ledger.pod_shown(&pod_at(&format!("pod{pod}"), version, node.unwrap_or_default()), &own)
                }
                Step::Leave(pod) => {
                    named.remove(pod);
                    ledger.pod_gone(&format!("pod{pod}"));
                    ChangedNodes::new()
                }
                Step::LookCloser(is_given_up) => {
                    let finding = if *is_given_up { Finding::GivenUp } else { Finding::UnderWay };
                    ledger.doubtful(now).iter().flat_map(|doubt| ledger.settle(doubt, finding)).collect()
                }
                Step::Cycle(members) => {
                    let mut changed = ChangedNodes::new();
                    for (pod, nodes) in members {
                        let name = format!("pod{pod}");
                        let at = pod_at(&name, version, named.get(pod).copied().unwrap_or_default()).in_group("g");
                        changed.append(&mut ledger.gang_asked(&at));
                        changed.append(&mut ledger.reserve(&at, &reservations(&[NAMES[*pod]]), &names(nodes), now));
                        changed.append(&mut ledger.gang_answered(&at));
                    }
                    changed
                }
                Step::Wait(seconds) => {
                    now += Duration::from_secs(*seconds);
                    ledger.expire(now)
                }
            };
            model.step(&step);
            for (node, before) in NAMES.iter().zip(before) {
                let after = on(&ledger, node);
                prop_assert!(before == after || changed.contains(*node), "{node} changed unnoticed: {step:?}");
                for claim in &after {
                    prop_assert!(model.allows(claim, node, &went), "{claim} on {node} after {step:?}");
                    prop_assert!(ledger.nodes_of(claim).contains(node));
                }
            }
            for (claims, node) in model.nominated.values() {
                for claim in claims {
                    prop_assert!(on(&ledger, node).iter().any(|on| on == claim), "{claim} lost {node}, which its pod names: {step:?}");
                }
            }
            for (claim, node) in &model.assigned {
                prop_assert!(on(&ledger, node).iter().any(|on| on == claim), "{claim} lost its reservation on {node}");
            }
        }
        // Nothing stays for ever without the cluster showing it, and nothing at all without claims.
        for pod in 0..4 {
            ledger.pod_gone(&format!("pod{pod}"));
        }
        ledger.expire(now + TIME_LIMIT);
        ledger.expire(now + TIME_LIMIT * 2);
        ledger.expire(now + TIME_LIMIT * 3);
        prop_assert!(ledger.claims(ReservationState::Tentative) == 0);
        prop_assert!(ledger.claims(ReservationState::Nominated) == 0);
        for claim in NAMES {
            ledger.claim_changed(claim, ClaimState::Deleted);
        }
        prop_assert!(ledger.claims(ReservationState::Assigned) == 0 && NAMES.iter().all(|node| on(&ledger, node).is_empty()));
    }
}
