//! Which nodes pass, and why the others do not.

use std::collections::BTreeSet;

use cluster::watch::Indexes;
use cluster::{Claim, Class, NotIndexed, ObjectKey, Pod, PodVolume, ReadObjects};
use crds::RegionState;
use extender::decide::{Filtered, NodeRefusal, PreparedRequirements, filter, prioritize};
use extender::state::State;
use placement::Policy;
use proptest::prelude::*;
use serde_json::json;

use crate::testing::{claim, class, node, persistent_volume, pod, volume};

/// "small" has 64 MiB free, "large" 512 MiB, "split" 2 × 64 MiB on two NUMA nodes.
fn cluster() -> State {
    let mut state = State::default();
    state.apply(&node("small", 1, &[&[(100, 64)]]));
    state.apply(&node("large", 1, &[&[(0, 512)]]));
    state.apply(&node("split", 1, &[&[(0, 64)], &[(0, 64)]]));
    state.apply(&class("fsdax", &[]));
    state
}

fn decide<'a>(state: &State, pod: &Pod, names: &[&'a str]) -> Filtered<'a> {
    let read = ReadObjects::default();
    let mut requirements = PreparedRequirements::of(pod, state, &read).expect("everything is known");
    filter(state, &mut requirements, names.iter().copied())
}

fn texts(nodes: &[(&str, NodeRefusal)]) -> Vec<String> {
    nodes.iter().map(|(name, why)| format!("{name}: {why}")).collect()
}

const ALL: [&str; 4] = ["small", "large", "split", "none"];
const NO_PMEM: &str = "none: no persistent memory: no PmemNode, no driver in its CSINode, or a silent driver";

#[test]
fn one_claim() {
    let mut state = cluster();
    state.apply(&claim("ns", "c", "fsdax", "100Mi"));
    let filtered = decide(&state, &pod(&["c"]), &ALL);
    assert_eq!(filtered.passed, ["large"]);
    assert_eq!(
        texts(&filtered.failed),
        [
            "small: asked 100 MiB; largest extent 62 MiB on NUMA 0, 64 MiB free in 1 extent",
            "split: asked 100 MiB; largest extent 62 MiB on NUMA 1, 128 MiB free in 2 extents",
        ]
    );
    assert_eq!(texts(&filtered.unresolvable), [NO_PMEM]);
}

/// What it reported last may not be true any more, and nobody would make a volume there.
#[test]
fn a_node_with_a_silent_driver_counts_as_one_without() {
    let mut state = cluster();
    state.apply(&claim("ns", "c", "fsdax", "100Mi"));
    let mut silent = node("large", 2, &[&[(0, 512)]]);
    let condition = json!({
        "type": crds::READY, "status": "Unknown", "reason": crds::DRIVER_SILENT, "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    silent.status.as_mut().unwrap().conditions = serde_json::from_value(json!([condition])).unwrap();
    state.apply(&silent);
    let filtered = decide(&state, &pod(&["c"]), &["large"]);
    assert_eq!(texts(&filtered.unresolvable), [NO_PMEM.replace("none", "large")]);
    state.apply(&node("large", 3, &[&[(0, 512)]]));
    assert_eq!(decide(&state, &pod(&["c"]), &["large"]).passed, ["large"]);
}

/// kube-scheduler repeats each text that differs: of thousands of nodes that would be megabytes.
#[test]
fn of_many_nodes_only_the_best_are_spelt_out() {
    let mut state = cluster();
    state.apply(&claim("ns", "c", "fsdax", "100Mi"));
    let nodes: Vec<String> = (0..30).map(|i| format!("n{i:02}")).collect();
    for (name, free) in nodes.iter().zip(10..) {
        state.apply(&node(name, 1, &[&[(0, free)]]));
    }
    let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
    let refused = decide(&state, &pod(&["c"]), &nodes).failed;
    assert_eq!(refused.len(), 30);
    assert_eq!(
        texts(&refused)[0],
        "n29: asked 100 MiB; largest extent 36 MiB on NUMA 0, 39 MiB free in 1 extent"
    );
    let spelt_out = |(_, why): &(&str, NodeRefusal)| why.to_string().contains("largest extent");
    let named: Vec<&str> = refused
        .iter()
        .filter(|node| spelt_out(node))
        .map(|node| node.0)
        .collect();
    assert_eq!(named, ["n29", "n28", "n27", "n26", "n25", "n24", "n23", "n22"]);
    let others = refused
        .iter()
        .filter(|node| !spelt_out(node))
        .map(|node| node.1.to_string());
    let others: BTreeSet<String> = others.collect();
    assert_eq!(
        others.into_iter().collect::<Vec<_>>(),
        ["asked 100 MiB; no room here (/v1/explain has all numbers)"]
    );
}

#[test]
fn of_many_nodes_without_a_ready_region_only_some_say_why() {
    let mut state = cluster();
    state.apply(&claim("ns", "c", "fsdax", "100Mi"));
    let nodes: Vec<String> = (0..30).map(|i| format!("n{i:02}")).collect();
    for name in &nodes {
        let mut node = node(name, 1, &[&[]]);
        let region = &mut node.status.as_mut().unwrap().regions[0];
        region.state = RegionState::Disabled;
        region.message = format!("region0 of {name} is disabled");
        state.apply(&node);
    }
    let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
    let refused = decide(&state, &pod(&["c"]), &nodes).unresolvable;
    let texts: BTreeSet<String> = refused.iter().map(|(_, why)| why.to_string()).collect();
    assert_eq!((refused.len(), texts.len()), (30, 9));
    assert!(texts.contains("asked 100 MiB: no ready region: region0 of n00 is disabled"));
    assert!(texts.contains("asked 100 MiB; no room here (/v1/explain has all numbers)"));
}

#[test]
fn larger_than_any_region_is_for_ever() {
    let mut state = cluster();
    state.apply(&claim("ns", "c", "fsdax", "600Mi"));
    let filtered = decide(&state, &pod(&["c"]), &["large"]);
    assert_eq!(
        texts(&filtered.unresolvable),
        ["large: asked 600 MiB; largest extent 502 MiB on NUMA 0, 512 MiB free in 1 extent"]
    );
}

#[test]
fn several_claims_have_to_fit_together() {
    let mut state = cluster();
    for name in ["a", "b"] {
        state.apply(&claim("ns", name, "fsdax", "40Mi"));
    }
    let filtered = decide(&state, &pod(&["a", "b", "a"]), &ALL);
    assert_eq!(filtered.passed, ["large", "split"]);
    assert_eq!(
        texts(&filtered.failed),
        ["small: asked 40 MiB + 40 MiB; largest extent 62 MiB on NUMA 0, 64 MiB free in 1 extent"]
    );
}

#[test]
fn pods_without_our_claims_need_nothing() {
    let mut state = cluster();
    state.apply(&claim("ns", "foreign", "other", "1Ti"));
    let mut other = class("other", &[]);
    other.provisioner = "other.example".into();
    state.apply(&other);
    let mut bound_elsewhere = claim("ns", "bound", "other", "1Ti");
    bound_elsewhere.spec.as_mut().unwrap().volume_name = Some("pv-of-others".into());
    state.apply(&bound_elsewhere);
    let mut classless = claim("ns", "classless", "", "1Ti");
    state.apply(&classless);
    classless.metadata.name = Some("null".into());
    classless.spec.as_mut().unwrap().storage_class_name = None;
    state.apply(&classless);
    for claims in [&[][..], &["foreign", "bound", "classless", "null"]] {
        let requirements = PreparedRequirements::of(&pod(claims), &state, &ReadObjects::default());
        assert!(requirements.unwrap().are_nothing(), "{claims:?}");
    }
}

#[test]
fn a_bound_claim_pins_its_node() {
    let mut state = cluster();
    let mut bound = claim("ns", "bound", "fsdax", "40Mi");
    bound.spec.as_mut().unwrap().volume_name = Some("pv".into());
    state.apply(&bound);
    state.apply(&persistent_volume("pv", "v", Some("split")));
    let filtered = decide(&state, &pod(&["bound"]), &["large", "split"]);
    assert_eq!(filtered.passed, ["split"]);
    assert_eq!(
        texts(&filtered.unresolvable),
        ["large: claim ns/bound is on node split"]
    );

    // What else the pod wants has to be there as well.
    state.apply(&claim("ns", "more", "fsdax", "100Mi"));
    let filtered = decide(&state, &pod(&["bound", "more"]), &["large", "split"]);
    assert_eq!(filtered.passed, [""; 0]);
    assert_eq!((filtered.failed.len(), filtered.unresolvable.len()), (1, 1));
}

#[test]
fn claims_on_two_nodes_leave_none() {
    let mut state = cluster();
    for (name, on) in [("a", "small"), ("b", "large")] {
        let mut bound = claim("ns", name, "fsdax", "1Mi");
        bound.spec.as_mut().unwrap().volume_name = Some(format!("pv-{name}"));
        state.apply(&bound);
        state.apply(&persistent_volume(&format!("pv-{name}"), "v", Some(on)));
    }
    let filtered = decide(&state, &pod(&["a", "b"]), &["small", "large"]);
    assert_eq!(
        texts(&filtered.unresolvable),
        [
            "small: claim ns/b is on node large",
            "large: claim ns/a is on node small"
        ]
    );
}

#[test]
fn a_volume_that_is_being_made_is_not_counted_twice() {
    let mut state = cluster();
    state.apply(&claim("ns", "c", "fsdax", "60Mi"));
    state.apply(&volume("pvc-uid-of-c", "small", 60));
    let filtered = decide(&state, &pod(&["c"]), &["small", "large"]);
    assert_eq!(filtered.passed, ["small"]);
    assert_eq!(
        texts(&filtered.unresolvable),
        ["large: claim ns/c is being made on node small"]
    );
}

#[test]
fn a_selected_node_is_kept() {
    let mut state = cluster();
    let mut selected = claim("ns", "c", "fsdax", "60Mi");
    let annotation = (cluster::names::SELECTED_NODE.to_owned(), "small".to_owned());
    selected.metadata.annotations = Some([annotation].into());
    state.apply(&selected);
    let filtered = decide(&state, &pod(&["c"]), &["small", "large"]);
    assert_eq!(filtered.passed, ["small"]);
    assert_eq!(
        texts(&filtered.unresolvable),
        ["large: claim ns/c was given to node small"]
    );
}

#[test]
fn generic_ephemeral_volumes() {
    let mut state = cluster();
    let pod = Pod::new("ns", "p", "uid-of-p", [PodVolume::Ephemeral("scratch")]);
    let mut made = claim("ns", "p-scratch", "fsdax", "100Mi");
    state.apply(&made);
    let filtered = decide(&state, &pod, &["large"]);
    assert_eq!(
        texts(&filtered.unresolvable),
        ["large: claim ns/p-scratch was not made for this pod"]
    );

    let owner = json!([{ "apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "uid-of-p", "controller": true }]);
    made.metadata.owner_references = Some(serde_json::from_value(owner).unwrap());
    state.apply(&made);
    let filtered = decide(&state, &pod, &["small", "large"]);
    assert_eq!(filtered.passed, ["large"]);
    assert_eq!(filtered.failed.len(), 1);
}

#[test]
fn what_the_index_does_not_have_is_asked_for() {
    let mut state = cluster();
    let pod = pod(&["late", "later"]);
    let mut read = ReadObjects::default();
    let pod_request = |state: &State, read: &ReadObjects| PreparedRequirements::of(&pod, state, read).map(|_| ());
    let key = |name| ObjectKey::new("ns", name);
    let missing = pod_request(&state, &read);
    assert_eq!(
        missing,
        Err(vec![NotIndexed::Claim(key("late")), NotIndexed::Claim(key("later"))])
    );

    read.add_claim(key("late"), Some(Claim::from(&claim("ns", "late", "new", "1Mi"))));
    state.apply(&claim("ns", "later", "fsdax", "1Mi"));
    assert_eq!(pod_request(&state, &read), Err(vec![NotIndexed::Class("new".into())]));
    read.add_class("new".into(), Some(Class::Foreign));
    assert_eq!(pod_request(&state, &read), Ok(()));
}

#[test]
fn a_claim_that_does_not_exist_fits_nowhere() {
    let state = cluster();
    let mut read = ReadObjects::default();
    read.add_claim(ObjectKey::new("ns", "c"), None);
    let mut requirements = PreparedRequirements::of(&pod(&["c"]), &state, &read).unwrap();
    let filtered = filter(&state, &mut requirements, ["large"]);
    assert_eq!(texts(&filtered.unresolvable), ["large: claim ns/c does not exist"]);
}

#[test]
fn a_claim_that_cannot_be_understood_fits_nowhere() {
    let mut state = cluster();
    state.apply(&class("wrong", &[("csi.daxfit.dev/mode", "dax")]));
    state.apply(&claim("ns", "a", "wrong", "1Mi"));
    state.apply(&claim("ns", "b", "fsdax", "-1"));
    let why = |name: &str| texts(&decide(&state, &pod(&[name]), &["large"]).unresolvable);
    assert_eq!(
        why("a"),
        ["large: claim ns/a: StorageClass parameter csi.daxfit.dev/mode is \"dax\": allowed are fsdax, sector"]
    );
    assert!(why("b")[0].starts_with("large: claim ns/b: \"-1\" is not a number of bytes"));
}

/// In the words of CreateVolume, and of the operator's event on the pod.
#[test]
fn a_claim_that_no_volume_can_satisfy_fits_nowhere() {
    let mut state = cluster();
    state.apply(&class("xfs", &[("csi.storage.k8s.io/fstype", "xfs")]));
    state.apply(&claim("ns", "small", "xfs", "100Mi"));
    let mut shared = claim("ns", "shared", "fsdax", "1Mi");
    shared.spec.as_mut().unwrap().access_modes = Some(vec!["ReadWriteMany".into()]);
    state.apply(&shared);
    let why = |name: &str| texts(&decide(&state, &pod(&[name]), &["large"]).unresolvable);
    assert_eq!(
        why("small"),
        ["large: claim ns/small: asked for 100 MiB, but xfs needs at least 300 MiB: ask for more, or for ext4"]
    );
    assert_eq!(
        why("shared"),
        [
            "large: claim ns/shared: access mode ReadWriteMany needs several nodes, but persistent memory can be reached \
          from its own node only: use ReadWriteOnce or ReadWriteOncePod"
        ]
    );
}

/// Whoever owns a claim without controlling it did not have it made: somebody else's ephemeral claim is refused.
#[test]
fn an_ephemeral_claim_is_that_of_its_controller() {
    let mut state = cluster();
    let pod = Pod::new("ns", "p", "uid-of-p", [PodVolume::Ephemeral("scratch")]);
    let mut made = claim("ns", "p-scratch", "fsdax", "100Mi");
    let owner = |uid: &str, controller: bool| json!({ "apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid, "controller": controller });
    let owners = json!([owner("uid-of-p", false), owner("of-an-earlier-pod", true)]);
    made.metadata.owner_references = Some(serde_json::from_value(owners).unwrap());
    state.apply(&made);
    let filtered = decide(&state, &pod, &["large"]);
    assert_eq!(
        texts(&filtered.unresolvable),
        ["large: claim ns/p-scratch was not made for this pod"]
    );
}

#[test]
fn a_numa_wish_that_no_region_has_is_for_ever() {
    let mut state = cluster();
    state.apply(&class("numa1", &[("csi.daxfit.dev/numa", "1")]));
    state.apply(&claim("ns", "c", "numa1", "1Mi"));
    let filtered = decide(&state, &pod(&["c"]), &["small", "split"]);
    assert_eq!(filtered.passed, ["split"]);
    assert_eq!(
        texts(&filtered.unresolvable),
        ["small: asked 1 MiB: no ready region on NUMA 1"]
    );
}

#[test]
fn the_tightest_node_has_the_highest_score() {
    let mut state = cluster();
    state.apply(&claim("ns", "c", "fsdax", "40Mi"));
    let read = ReadObjects::default();
    let score = |policy| {
        let mut requirements = PreparedRequirements::of(&pod(&["c"]), &state, &read).unwrap();
        prioritize(&state, policy, &mut requirements, &["small", "large", "none"])
    };
    assert_eq!(score(Policy::Pack), [("small", 10), ("large", 0), ("none", 0)]);
    assert_eq!(score(Policy::Spread), [("small", 0), ("large", 10), ("none", 0)]);
    let mut nothing = PreparedRequirements::of(&pod(&[]), &state, &read).unwrap();
    assert_eq!(prioritize(&state, Policy::Pack, &mut nothing, &["small"]), []);
}

/// The hole of "few" fits better, but one large volume is all that keeps its region from being free from end to end.
#[test]
fn regions_with_few_volumes_are_kept_whole() {
    let mut state = State::default();
    state.apply(&node("few", 1, &[&[(448, 64)]]));
    state.apply(&node("many", 1, &[&[(442, 70)]]));
    state.apply(&class("fsdax", &[]));
    state.apply(&claim("ns", "c", "fsdax", "40Mi"));
    let score = |state: &State| {
        let read = ReadObjects::default();
        let mut requirements = PreparedRequirements::of(&pod(&["c"]), state, &read).unwrap();
        prioritize(state, Policy::Pack, &mut requirements, &["few", "many"])
    };
    assert_eq!(score(&state), [("few", 10), ("many", 0)]);
    for (name, on) in [
        ("a", "few"),
        ("b", "many"),
        ("c", "many"),
        ("d", "many"),
        ("e", "many"),
        ("f", "many"),
    ] {
        let mut made = volume(name, on, 60);
        let status = json!({ "phase": "Ready", "region": "r0", "layoutRevision": 1 });
        made.status = Some(serde_json::from_value(status).unwrap());
        state.apply(&made);
    }
    assert_eq!(score(&state), [("few", 0), ("many", 10)]);
}

proptest! {
    /// Invariant: a node that the filter accepted holds the volumes in every order of creation, with what is pending; for
    /// a node that it refused there is an order in which one of them fails.
    #[test]
    fn never_passes_what_cannot_fit(
        holes in prop::collection::vec((0_u32..32, 1_u32..96), 0..4),
        pending in prop::collection::vec(1_u32..64, 0..4),
        asked in prop::collection::vec(1_u32..100, 1..4),
    ) {
        let mut cursor = 0;
        let holes: Vec<(u32, u32)> = holes
            .into_iter()
            .map(|(gap, size)| {
                let start = cursor + gap + 2;
                cursor = start + size;
                (start, size)
            })
            .collect();
        let mut state = State::default();
        state.apply(&node("n", 1, &[&holes]));
        state.apply(&class("fsdax", &[]));
        for (i, mib) in pending.iter().enumerate() {
            state.apply(&volume(&format!("v{i}"), "n", *mib));
        }
        let names: Vec<String> = (0..asked.len()).map(|i| format!("c{i}")).collect();
        for (name, mib) in names.iter().zip(&asked) {
            state.apply(&claim("ns", name, "fsdax", &format!("{mib}Mi")));
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let passed = !decide(&state, &pod(&names), &["n"]).passed.is_empty();

        // By hand: all that is on its way, as the node's driver would make it, one after the other, in each order.
        let request = |mib: &u32| volume("w", "n", *mib).spec.request();
        let before = node("n", 1, &[&holes]).status.unwrap().to_placement();
        let possible = pending.iter().map(request).filter(|request| before.fits(&[*request]).is_ok());
        let all: Vec<_> = possible.chain(asked.iter().map(request)).collect();
        let all_orders = orders(all.len()).into_iter().all(|order| {
            let mut node = before.clone();
            order.into_iter().all(|i| node.place(&all[i]).is_ok())
        });
        prop_assert!(!passed || all_orders);
        // With more of them it is too much work to try each order: then some are refused that would fit.
        prop_assert!(passed || !all_orders || all.len() > 5);
    }
}

fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(n - 1);
    let insert = |order: &Vec<usize>, at: usize| {
        let mut longer = order.clone();
        longer.insert(at, n - 1);
        longer
    };
    shorter
        .iter()
        .flat_map(|order| (0..n).map(move |at| insert(order, at)))
        .collect()
}
