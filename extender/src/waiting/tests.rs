use super::*;
use crate::testing::pod_named;

fn gained(waiting: &mut WaitingPods, nodes: &[&str]) -> Vec<(String, Vec<String>)> {
    for node in nodes {
        waiting.gained(node);
    }
    let gained = waiting.take_gained();
    let interested = waiting.interested(None, &gained);
    let owned = |nodes: Vec<&str>| nodes.into_iter().map(Into::into).collect();
    interested
        .map(|(pod, nodes)| (pod.name.clone().into(), owned(nodes)))
        .collect()
}

#[test]
fn only_a_pod_that_was_refused_waits() {
    let mut waiting = WaitingPods::default();
    let now = Instant::now();
    waiting.answered(&pod_named("runs", &["a"]), &["n"], true, now);
    assert!(waiting.is_empty());
    // Whatever a node gains while nobody waits was there when the next pod was refused.
    waiting.gained("n");
    waiting.answered(&pod_named("waits", &["b"]), &["n"], false, now);
    assert_eq!(waiting.take_gained(), BTreeSet::new());
    assert_eq!(gained(&mut waiting, &["n"]), [("waits".into(), vec!["n".into()])]);
    waiting.answered(&pod_named("waits", &["b"]), &["n"], true, now);
    assert!(waiting.is_empty());
}

#[test]
fn a_pod_is_not_woken_for_a_node_that_kube_scheduler_does_not_ask_about() {
    let mut waiting = WaitingPods::default();
    waiting.answered(&pod_named("p", &["a"]), &["m", "n"], false, Instant::now());
    assert_eq!(gained(&mut waiting, &["n", "o"]), [("p".into(), vec!["n".into()])]);
}

#[test]
fn of_many_nodes_kube_scheduler_may_have_left_some_out() {
    let mut waiting = WaitingPods::default();
    let names: Vec<String> = (0..100).map(|number| format!("n{number}")).collect();
    let asked: Vec<&str> = names.iter().map(String::as_str).collect();
    waiting.answered(&pod_named("p", &["a"]), &asked, false, Instant::now());
    assert_eq!(gained(&mut waiting, &["other"]), [("p".into(), vec!["other".into()])]);
}

#[test]
fn nobody_is_woken_again_before_it_came_back() {
    let mut waiting = WaitingPods::default();
    let (now, pod) = (Instant::now(), pod_named("p", &["a"]));
    waiting.answered(&pod, &["n"], false, now);
    waiting.woken_for(&pod.uid);
    assert_eq!(gained(&mut waiting, &["n"]), [("p".into(), vec![])]);
    waiting.answered(&pod, &["n"], false, now);
    assert_eq!(gained(&mut waiting, &["n"]), [("p".into(), vec!["n".into()])]);
}

#[test]
fn tries_are_counted_by_what_came_of_them() {
    let mut waiting = WaitingPods::default();
    let now = Instant::now();
    let pods = ["p", "q", "r"].map(|name| pod_named(name, &[name]));
    for pod in &pods {
        waiting.answered(pod, &["n"], false, now);
    }
    waiting.woken_for(&pods[0].uid);
    waiting.answered(&pods[0], &["n"], true, now);
    waiting.answered(&pods[1], &["n"], false, now);
    let expected = Tries { placed: 1, in_vain: 1 };
    assert_eq!((waiting.tries(), waiting.len()), (expected, 2));
    // Nobody woke it this time.
    waiting.answered(&pods[1], &["n"], false, now);
    assert_eq!(waiting.tries(), expected);
}

#[test]
fn who_is_not_heard_of_is_forgotten() {
    let mut waiting = WaitingPods::default();
    let now = Instant::now();
    waiting.answered(&pod_named("p", &["a"]), &["n"], false, now);
    waiting.expire(now + FORGOTTEN_AFTER / 2);
    assert_eq!(waiting.len(), 1);
    waiting.expire(now + FORGOTTEN_AFTER);
    assert!(waiting.is_empty());
}

#[test]
fn who_is_found_at_the_start_may_go_to_any_node() {
    let mut waiting = WaitingPods::default();
    let (now, pod) = (Instant::now(), pod_named("p", &["a"]));
    waiting.found(&pod, now);
    assert_eq!(gained(&mut waiting, &["n"]), [("p".into(), vec!["n".into()])]);
    // What kube-scheduler asked is known better.
    waiting.answered(&pod, &["m"], false, now);
    waiting.found(&pod, now);
    assert_eq!(gained(&mut waiting, &["n"]), [("p".into(), vec![])]);
}
