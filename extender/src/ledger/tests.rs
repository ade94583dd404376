use placement::{Bytes, MapLocation, Mode, NumaWish, VolumeRequest};
use proptest::prelude::*;

use super::*;
use crate::index::ObjectKey;

const LIMIT: Duration = Duration::from_secs(100);

fn promise(uid: &str) -> Arc<Promise> {
    let request = VolumeRequest {
        required: Bytes::mib(1),
        limit: None,
        mode: Mode::Fsdax(MapLocation::Dev),
        numa: NumaWish::Any,
    };
    Arc::new(Promise {
        uid: uid.into(),
        claim: ObjectKey::new("ns", uid),
        request,
    })
}

fn promises(uids: &[&str]) -> Vec<Arc<Promise>> {
    uids.iter().map(|uid| promise(uid)).collect()
}

fn on(ledger: &Ledger, node: &str) -> Vec<String> {
    ledger.on(node).map(|(promise, _)| promise.uid.to_string()).collect()
}

fn touched(nodes: &[&str]) -> Touched {
    nodes.iter().map(|node| Arc::from(*node)).collect()
}

#[test]
fn a_decision_holds_until_the_claim_shows_it() {
    let (mut ledger, now) = (Ledger::new(LIMIT), Instant::now());
    assert_eq!(
        ledger.decide("p", &promises(&["a", "b"]), &["n", "m"], now),
        touched(&["m", "n"])
    );
    assert_eq!(
        (on(&ledger, "n"), on(&ledger, "m")),
        (vec!["a".into(), "b".into()], vec!["a".into(), "b".into()])
    );
    // One claim shows the node: the other one goes there as well.
    ledger.stands("a", Standing::Given("n".into(), promise("a")));
    assert_eq!((on(&ledger, "n").len(), on(&ledger, "m").len()), (2, 0));
    assert_eq!(
        ledger.on("n").map(|(_, kind)| kind).collect::<Vec<_>>(),
        [Kind::Given, Kind::Open]
    );
    ledger.stands("a", Standing::Settled(Some("n".into())));
    ledger.stands("b", Standing::Settled(Some("n".into())));
    assert_eq!(on(&ledger, "n"), [""; 0]);
}

#[test]
fn what_the_cluster_shows_wins() {
    let (mut ledger, now) = (Ledger::new(LIMIT), Instant::now());
    ledger.decide("p", &promises(&["a"]), &["n"], now);
    ledger.stands("a", Standing::Given("elsewhere".into(), promise("a")));
    assert_eq!((on(&ledger, "n").len(), on(&ledger, "elsewhere").len()), (0, 1));
    // CreateVolume found no space there: the annotation goes, and with it the promise.
    assert_eq!(ledger.stands("a", Standing::Undecided), touched(&["elsewhere"]));
    assert!(ledger.nodes_of("a").is_empty());
}

#[test]
fn a_pod_that_is_decided_anew_gives_back_what_it_had() {
    let (mut ledger, now) = (Ledger::new(LIMIT), Instant::now());
    ledger.decide("p", &promises(&["a", "b"]), &["n"], now);
    assert_eq!(ledger.attempts("p", ["a"]), 1);
    // The pod comes again, and fits nowhere.
    ledger.decide("p", &promises(&["a"]), &[], now);
    assert_eq!((on(&ledger, "n").len(), ledger.attempts("p", ["a"])), (0, 0));
}

#[test]
fn a_claim_that_two_pods_share_is_promised_once() {
    let (mut ledger, now) = (Ledger::new(LIMIT), Instant::now());
    ledger.decide("p", &promises(&["a", "shared"]), &["n"], now);
    assert_eq!(ledger.nodes_for_others("shared", "q"), Some(["n"].into()));
    assert_eq!(ledger.nodes_for_others("shared", "p"), None);
    ledger.decide("q", &promises(&["b", "shared"]), &["n"], now);
    assert_eq!(on(&ledger, "n"), ["a", "b", "shared"]);
    // The second pod comes again and fits nowhere: the first one is still on its way.
    ledger.decide("q", &promises(&["b", "shared"]), &[], now);
    assert_eq!(on(&ledger, "n"), ["a", "shared"]);
    ledger.stands("shared", Standing::Gone);
    assert_eq!(on(&ledger, "n"), ["a"]);
}

#[test]
fn a_given_claim_stays_given() {
    let (mut ledger, now) = (Ledger::new(LIMIT), Instant::now());
    ledger.stands("a", Standing::Given("n".into(), promise("a")));
    assert_eq!(ledger.decide("p", &promises(&["a"]), &["m"], now), Touched::new());
    assert_eq!(ledger.nodes_of("a"), ["n"].into());
    ledger.tick(now + LIMIT * 9);
    assert_eq!(on(&ledger, "n"), ["a"]);
}

#[test]
fn what_another_extender_took_out_is_given_back() {
    let (mut ledger, now) = (Ledger::new(LIMIT), Instant::now());
    ledger.decide("p", &promises(&["a"]), &["k", "m", "n"], now);
    assert_eq!(ledger.narrow("p", &["a"], &["n", "m"]), touched(&["k"]));
    assert_eq!(ledger.narrow("another", &["a"], &["n"]), Touched::new());
    assert_eq!(ledger.nodes_of("a"), ["m", "n"].into());
}

#[test]
fn time_runs_out_unless_older_decisions_are_still_on_their_way() {
    let (mut ledger, now) = (Ledger::new(LIMIT), Instant::now());
    let later = now + LIMIT / 2;
    for pod in ["first", "second", "lost"] {
        ledger.decide(pod, &promises(&[pod]), &["n"], now);
    }
    ledger.stands("second", Standing::Given("n".into(), promise("second")));
    ledger.tick(later);
    // The one before it is late; the one behind it has its whole time again.
    assert_eq!(ledger.tick(now + LIMIT), touched(&["n"]));
    assert_eq!((ledger.nodes_of("first").len(), ledger.nodes_of("lost").len()), (0, 1));
    // What is decided after it does not keep it.
    ledger.decide("young", &promises(&["young"]), &["n"], now + LIMIT);
    ledger.stands("young", Standing::Settled(None));
    ledger.tick(later + LIMIT);
    assert_eq!(on(&ledger, "n"), ["second"]);
}

#[test]
fn a_bound_claim_holds_its_space_until_its_volume_is_shown_or_time_is_up() {
    let (mut ledger, now) = (Ledger::new(LIMIT), Instant::now());
    for (claim, pod) in [("given", ""), ("open", "p")] {
        match pod {
            "" => ledger.stands(claim, Standing::Given("n".into(), promise(claim))),
            pod => ledger.decide(pod, &promises(&[claim]), &["m", "n"], now),
        };
        ledger.stands(claim, Standing::Bound(Some("n".into())));
    }
    assert_eq!((on(&ledger, "n").len(), on(&ledger, "m").len()), (2, 0));
    ledger.tick(now);
    ledger.stands("open", Standing::Settled(Some("n".into())));
    assert_eq!(on(&ledger, "n"), ["given"]);
    ledger.tick(now + LIMIT);
    ledger.tick(now + LIMIT * 2);
    assert_eq!(on(&ledger, "n"), [""; 0]);
    // It was never promised anything: there is nothing to hold.
    assert_eq!(
        ledger.stands("other", Standing::Bound(Some("n".into()))),
        Touched::new()
    );
}

#[derive(Clone, Debug)]
enum Step {
    Decide(usize, Vec<usize>, Vec<usize>),
    Give(usize, usize),
    Settle(usize, Option<usize>),
    Bind(usize, Option<usize>),
    Undecide(usize),
    Gone(usize),
    Narrow(usize, Vec<usize>, Vec<usize>),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let some = || prop::collection::vec(0..5_usize, 0..4);
    prop_oneof![
        4 => (0..4_usize, some(), some()).prop_map(|(pod, claims, nodes)| Step::Decide(pod, claims, nodes)),
        2 => (0..5_usize, 0..5_usize).prop_map(|(claim, node)| Step::Give(claim, node)),
        1 => (0..5_usize, prop::option::of(0..5_usize)).prop_map(|(claim, node)| Step::Settle(claim, node)),
        1 => (0..5_usize, prop::option::of(0..5_usize)).prop_map(|(claim, node)| Step::Bind(claim, node)),
        1 => (0..5_usize).prop_map(Step::Undecide),
        1 => (0..5_usize).prop_map(Step::Gone),
        1 => (0..4_usize, some(), some()).prop_map(|(pod, claims, nodes)| Step::Narrow(pod, claims, nodes)),
        1 => (1..60_u64).prop_map(Step::Wait),
    ]
}

const NAMES: [&str; 5] = ["0", "1", "2", "3", "4"];

fn names(of: &[usize]) -> Vec<&'static str> {
    of.iter().map(|n| NAMES[*n]).collect()
}

/// Where each claim may be promised space, at most, by the rules alone: whatever was said of it last.
#[derive(Default)]
struct Model {
    /// For each claim, by pod.
    open: HashMap<&'static str, HashMap<usize, BTreeSet<&'static str>>>,
    given: HashMap<&'static str, &'static str>,
}

impl Model {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Decide(pod, claims, nodes) => {
                for claim in names(claims) {
                    let nodes = names(nodes).into_iter().collect();
                    self.open.entry(claim).or_default().insert(*pod, nodes);
                }
            }
            Step::Give(claim, node) => {
                self.open.remove(NAMES[*claim]);
                self.given.insert(NAMES[*claim], NAMES[*node]);
            }
            Step::Settle(claim, _) | Step::Gone(claim) => {
                self.open.remove(NAMES[*claim]);
                self.given.remove(NAMES[*claim]);
            }
            Step::Bind(claim, _) => {
                if let Some(node) = self.given.remove(NAMES[*claim]) {
                    self.open.insert(NAMES[*claim], [(usize::MAX, [node].into())].into());
                }
            }
            Step::Undecide(claim) => {
                self.given.remove(NAMES[*claim]);
            }
            Step::Narrow(..) | Step::Wait(_) => {}
        }
    }

    /// A pod's claims follow each other, so a promise may also be on a node where another claim of it went.
    fn allows(&self, claim: &str, node: &str, went: &BTreeSet<&str>) -> bool {
        match self.given.get(claim) {
            Some(given) => *given == node,
            None => self
                .open
                .get(claim)
                .is_some_and(|open| open.values().any(|nodes| nodes.contains(node)) || went.contains(node)),
        }
    }
}

proptest! {
    #[test]
    fn promises_are_where_they_were_made_and_nowhere_else(steps in prop::collection::vec(step(), 1..60)) {
        let (mut ledger, mut now, mut model) = (Ledger::new(LIMIT), Instant::now(), Model::default());
        let mut went = BTreeSet::new();
        for step in steps {
            let before: Vec<_> = NAMES.iter().map(|node| on(&ledger, node)).collect();
            let touched = match &step {
                Step::Decide(pod, claims, nodes) => {
                    ledger.decide(&format!("pod{pod}"), &promises(&names(claims)), &names(nodes), now)
                }
                Step::Give(claim, node) => {
                    went.insert(NAMES[*node]);
                    ledger.stands(NAMES[*claim], Standing::Given(NAMES[*node].into(), promise(NAMES[*claim])))
                }
                Step::Settle(claim, node) => {
                    went.extend(node.map(|node| NAMES[node]));
                    ledger.stands(NAMES[*claim], Standing::Settled(node.map(|node| NAMES[node].into())))
                }
                Step::Bind(claim, node) => {
                    went.extend(node.map(|node| NAMES[node]));
                    ledger.stands(NAMES[*claim], Standing::Bound(node.map(|node| NAMES[node].into())))
                }
                Step::Undecide(claim) => ledger.stands(NAMES[*claim], Standing::Undecided),
                Step::Gone(claim) => ledger.stands(NAMES[*claim], Standing::Gone),
                Step::Narrow(pod, claims, nodes) => ledger.narrow(&format!("pod{pod}"), &names(claims), &names(nodes)),
                Step::Wait(seconds) => {
                    now += Duration::from_secs(*seconds);
                    ledger.tick(now)
                }
            };
            model.step(&step);
            for (node, before) in NAMES.iter().zip(before) {
                let after = on(&ledger, node);
                prop_assert!(before == after || touched.contains(*node), "{node} changed unnoticed: {step:?}");
                for claim in &after {
                    prop_assert!(model.allows(claim, node, &went), "{claim} on {node} after {step:?}");
                    prop_assert!(ledger.nodes_of(claim).contains(node));
                }
            }
            for (claim, node) in &model.given {
                prop_assert!(on(&ledger, node).iter().any(|on| on == claim), "{claim} lost its promise on {node}");
            }
        }
        // Nothing stays for ever without the cluster showing it, and nothing at all without claims.
        ledger.tick(now + LIMIT);
        ledger.tick(now + LIMIT * 2);
        ledger.tick(now + LIMIT * 3);
        prop_assert!(ledger.decisions.is_empty() && ledger.open.is_empty());
        for claim in NAMES {
            ledger.stands(claim, Standing::Gone);
        }
        prop_assert!(ledger.on_node.is_empty() && ledger.given.is_empty());
    }
}
