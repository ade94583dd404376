//! Gangs: kube-scheduler asks for each member in turn, and takes all or none.

use std::time::Instant;

use cluster::Pod;
use extender::ledger::{Ledger, ReservationState};

use super::ledger::{TIME_LIMIT, pod, pod_at, reservations};

/// Of the gang "g", with a claim of the same name.
fn member(name: &str) -> Pod {
    pod(name).in_group("g")
}

/// A cycle: each of these members passes on the node beside it, or on none if that is empty.
fn cycle(ledger: &mut Ledger, members: &[(&str, &str)]) {
    for (name, node) in members {
        ledger.gang_asked(&member(name));
        let nodes: Vec<&str> = Some(*node).filter(|node| !node.is_empty()).into_iter().collect();
        ledger.reserve(&member(name), &reservations(&[name]), &nodes, Instant::now());
        ledger.gang_answered(&member(name));
    }
}

fn held(ledger: &Ledger) -> usize {
    ledger.claims(ReservationState::Tentative) + ledger.claims(ReservationState::Nominated)
}

#[test]
fn a_gang_that_fails_with_as_many_members_again_holds_nothing() {
    let mut ledger = Ledger::new(TIME_LIMIT);
    let too_few = [("a", "n"), ("b", "m"), ("c", "")];
    cycle(&mut ledger, &too_few);
    assert_eq!(held(&ledger), 2, "nobody knows yet that it fails");
    for _ in 0..3 {
        cycle(&mut ledger, &too_few);
        assert_eq!(held(&ledger), 0);
    }
    cycle(&mut ledger, &[("a", "n"), ("b", "m"), ("c", "n")]);
    assert_eq!(held(&ledger), 3, "now it may succeed");
}

#[test]
fn a_member_that_comes_back_finds_nothing_reserved_for_the_others() {
    let mut ledger = Ledger::new(TIME_LIMIT);
    cycle(&mut ledger, &[("a", "n"), ("b", "m"), ("c", "")]);
    assert_eq!(ledger.gang_asked(&member("a")), super::ledger::changed(&["n", "m"]));
    assert_eq!(held(&ledger), 0);
}

#[test]
fn who_was_refused_alone_comes_back_without_the_others() {
    let mut ledger = Ledger::new(TIME_LIMIT);
    let enough = [("a", "n"), ("b", "m"), ("c", "")];
    cycle(&mut ledger, &enough);
    cycle(&mut ledger, &[("c", "")]);
    cycle(&mut ledger, &[("c", "n")]);
    assert_eq!(held(&ledger), 3, "enough members passed, and are on their way");
}

#[test]
fn what_was_carried_out_stays() {
    let mut ledger = Ledger::new(TIME_LIMIT);
    let all = [("a", "n"), ("b", "m")];
    cycle(&mut ledger, &all);
    ledger.pod_shown(&pod_at("b", 7, "m").in_group("g"), &reservations(&["b"]));
    cycle(&mut ledger, &[("a", "n")]);
    assert_eq!(held(&ledger), 2);
    ledger.pod_gone("a");
    ledger.pod_gone("b");
    assert_eq!(ledger.gang_asked(&pod("alone")), super::ledger::changed(&[]));
}
