//! A small cluster in which everything happens in any order: kube-scheduler, provisioner, drivers and people.
//!
//! The index sees of it only what watches would have shown. Whatever was offered and taken is created in the end, by the
//! rules of the node itself, and has to fit there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crds::{PmemNode, PmemVolume};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use placement::{Node, Policy, Want};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::*;
use crate::index::{Index, Indexes, ObjectKey};
use crate::ledger::Ledger;
use crate::pod::Pod;
use crate::testing::{claim, class, node, pod_named, volume};

const LIMIT: Duration = Duration::from_secs(120);
const NODES: [&str; 3] = ["n0", "n1", "n2"];
const ANNOTATION: &str = "volume.kubernetes.io/selected-node";

/// A claim as it really is.
#[derive(Clone, Default)]
struct RealClaim {
    mib: u32,
    annotated: Option<&'static str>,
    volume: Option<RealVolume>,
    bound: bool,
    deleted: bool,
}

#[derive(Clone, Copy)]
struct RealVolume {
    node: &'static str,
    /// The revision of its node that contains it.
    revision: Option<i64>,
}

#[derive(Clone)]
struct RealPod {
    claims: Vec<usize>,
    /// The node that kube-scheduler took, before anybody can see it.
    taken: Option<&'static str>,
}

struct RealNode {
    free: Node,
    revision: i64,
}

struct World {
    index: Index,
    offering: Offering,
    now: Instant,
    claims: Vec<RealClaim>,
    pods: Vec<RealPod>,
    nodes: BTreeMap<&'static str, RealNode>,
}

/// What happens next; the number says to whom, among those that it can happen to.
#[derive(Clone, Copy, Debug)]
enum Event {
    Schedule(usize, usize),
    Annotate(usize),
    CreateVolume(usize),
    MakeNamespace(usize, bool),
    Bind(usize),
    DeleteClaim(usize),
    GiveUp(usize),
    TimePasses,
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (any::<usize>(), any::<usize>()).prop_map(|(pod, node)| Event::Schedule(pod, node)),
        4 => any::<usize>().prop_map(Event::Annotate),
        3 => any::<usize>().prop_map(Event::CreateVolume),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(volume, first)| Event::MakeNamespace(volume, first)),
        2 => any::<usize>().prop_map(Event::Bind),
        1 => any::<usize>().prop_map(Event::DeleteClaim),
        1 => any::<usize>().prop_map(Event::GiveUp),
        1 => Just(Event::TimePasses),
        1 => Just(Event::Restart),
    ]
}

fn name(claim: usize) -> String {
    format!("c{claim}")
}

fn volume_name(claim: usize) -> String {
    format!("pvc-uid-of-c{claim}")
}

fn want(mib: u32) -> Want {
    volume("w", "n", mib).spec.want()
}

fn pick(from: &[usize], which: usize) -> Option<usize> {
    (!from.is_empty()).then(|| from[which % from.len()])
}

impl World {
    fn new(sizes: &[u32], pods: &[Vec<usize>], candidates: usize) -> Self {
        let holes: [&[&[(u32, u32)]]; 3] = [&[&[(0, 128)], &[(0, 64)]], &[&[(0, 96), (128, 32)]], &[&[(64, 160)]]];
        let real = |holes: &[&[(u32, u32)]]| RealNode {
            free: node("n", 1, holes).status.unwrap().to_placement(),
            revision: 1,
        };
        let claims: Vec<RealClaim> = sizes
            .iter()
            .map(|mib| RealClaim {
                mib: *mib,
                ..RealClaim::default()
            })
            .collect();
        let pod = |claims: &Vec<usize>| {
            let claims: BTreeSet<usize> = claims.iter().map(|claim| claim % sizes.len()).collect();
            RealPod {
                claims: claims.into_iter().collect(),
                taken: None,
            }
        };
        let mut world = Self {
            index: Index::default(),
            offering: Offering {
                policy: Policy::Pack,
                candidates,
            },
            now: Instant::now(),
            pods: pods.iter().map(pod).collect(),
            claims,
            nodes: NODES.into_iter().zip(holes.into_iter().map(real)).collect(),
        };
        world.restart();
        world
    }

    /// The index is built anew from what the cluster shows. What was taken and not shown yet is lost: in the real world
    /// a CreateVolume may be refused then, here kube-scheduler either has written a decision or gives up on it.
    fn restart(&mut self) {
        for pod in 0..self.pods.len() {
            self.give_up(pod);
        }
        self.show_all_that_is_taken();
        self.index = Index::with_ledger(Ledger::new(LIMIT));
        self.index.apply(&class("fsdax", &[]));
        for claim in 0..self.claims.len() {
            self.show_claim(claim);
        }
        for node in NODES {
            self.show_node(node);
        }
        for claim in 0..self.claims.len() {
            self.show_volume(claim);
        }
    }

    fn show_claim(&mut self, which: usize) {
        let real = &self.claims[which];
        let mut shown = claim("ns", &name(which), "fsdax", &format!("{}Mi", real.mib));
        if real.deleted {
            return Indexes::<PersistentVolumeClaim>::delete(&mut self.index, &ObjectKey::new("ns", &name(which)));
        }
        let annotation = real
            .annotated
            .map(|node| [(ANNOTATION.to_owned(), node.to_owned())].into());
        shown.metadata.annotations = annotation;
        shown.spec.as_mut().unwrap().volume_name = real.bound.then(|| volume_name(which));
        self.index.apply(&shown);
    }

    fn show_node(&mut self, name: &'static str) {
        let real = &self.nodes[name];
        let mib = |bytes: placement::Bytes| u32::try_from(bytes.get() >> 20).unwrap();
        let regions = real.free.regions.iter();
        let extents: Vec<Vec<(u32, u32)>> = regions
            .map(|region| {
                region
                    .free
                    .iter()
                    .map(|hole| (mib(hole.start), mib(hole.size)))
                    .collect()
            })
            .collect();
        let regions: Vec<&[(u32, u32)]> = extents.iter().map(Vec::as_slice).collect();
        let shown: PmemNode = node(name, real.revision, &regions);
        self.index.apply(&shown);
    }

    fn show_volume(&mut self, claim: usize) {
        if let Some(real) = self.claims[claim].volume {
            let mut shown: PmemVolume = volume(&volume_name(claim), real.node, self.claims[claim].mib);
            shown.status.get_or_insert_default().layout_revision = real.revision;
            self.index.apply(&shown);
        }
    }

    fn claims_that(&self, are: impl Fn(&RealClaim) -> bool) -> Vec<usize> {
        (0..self.claims.len())
            .filter(|claim| are(&self.claims[*claim]))
            .collect()
    }

    fn pods_that(&self, are: impl Fn(&RealPod) -> bool) -> Vec<usize> {
        (0..self.pods.len()).filter(|pod| are(&self.pods[*pod])).collect()
    }

    fn undecided(&self, claim: usize) -> bool {
        let claim = &self.claims[claim];
        !claim.deleted && !claim.bound && claim.annotated.is_none() && claim.volume.is_none()
    }

    /// The nodes that the filters of kube-scheduler itself leave: it knows what it took, also for shared claims.
    fn candidates(&self, pod: usize) -> Vec<&'static str> {
        let claims = &self.pods[pod].claims;
        let others = self
            .pods
            .iter()
            .filter(|other| other.claims.iter().any(|claim| claims.contains(claim)));
        let taken = others.filter_map(|other| other.taken);
        let shown = claims.iter().filter_map(|claim| self.claims[*claim].annotated);
        let fixed: BTreeSet<_> = taken.chain(shown).collect();
        NODES
            .into_iter()
            .filter(|node| fixed.iter().all(|only| only == node))
            .collect()
    }

    fn schedule(&mut self, which: usize, choice: usize) {
        let waiting =
            self.pods_that(|pod| pod.taken.is_none() && pod.claims.iter().all(|claim| !self.claims[*claim].deleted));
        let Some(which) = pick(&waiting, which) else { return };
        let names: Vec<String> = self.pods[which].claims.iter().map(|claim| name(*claim)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let pod: Pod = pod_named(&format!("p{which}"), &names);
        let candidates = self.candidates(which);
        if candidates.is_empty() {
            return;
        }
        let offered = offer(
            &mut self.index,
            &Found::default(),
            &pod,
            &candidates,
            self.offering,
            self.now,
        )
        .unwrap();
        if !offered.passed.is_empty() {
            let taken = offered.passed[choice % offered.passed.len()];
            self.pods[which].taken = Some(taken);
        }
    }

    /// Whether there was anything to be written.
    fn annotate(&mut self, which: usize) -> bool {
        let taken = self.pods_that(|pod| pod.taken.is_some() && pod.claims.iter().any(|claim| self.undecided(*claim)));
        let Some(pod) = pick(&taken, which) else { return false };
        let RealPod { claims, taken } = self.pods[pod].clone();
        if let Some(claim) = claims.into_iter().find(|claim| self.undecided(*claim)) {
            self.claims[claim].annotated = taken;
            self.show_claim(claim);
        }
        true
    }

    fn show_all_that_is_taken(&mut self) {
        while self.annotate(0) {}
    }

    fn create_volume(&mut self, which: usize) {
        let given = self.claims_that(|claim| claim.annotated.is_some() && claim.volume.is_none() && !claim.deleted);
        let Some(claim) = pick(&given, which) else { return };
        let node = self.claims[claim].annotated;
        self.claims[claim].volume = node.map(|node| RealVolume { node, revision: None });
        self.show_volume(claim);
    }

    fn make_namespace(&mut self, which: usize, node_first: bool) -> TestCaseResult {
        let pending = self.claims_that(|claim| claim.volume.is_some_and(|volume| volume.revision.is_none()));
        let Some(claim) = pick(&pending, which) else {
            return Ok(());
        };
        let want = want(self.claims[claim].mib);
        let Some(volume) = &mut self.claims[claim].volume else {
            return Ok(());
        };
        let node = volume.node;
        let real = self.nodes.get_mut(node).unwrap();
        let placed = real.free.place(&want);
        prop_assert!(
            placed.is_ok(),
            "claim {claim} is refused by {node}: {}",
            placed.unwrap_err()
        );
        real.revision += 1;
        volume.revision = Some(real.revision);
        if node_first {
            self.show_node(node);
            self.show_volume(claim);
        } else {
            self.show_volume(claim);
            self.show_node(node);
        }
        Ok(())
    }

    fn bind(&mut self, which: usize) {
        let made =
            self.claims_that(|claim| claim.volume.is_some_and(|volume| volume.revision.is_some()) && !claim.bound);
        if let Some(claim) = pick(&made, which) {
            self.claims[claim].bound = true;
            self.show_claim(claim);
        }
    }

    /// Somebody deletes a claim that has no volume; what else is done for its pods goes on.
    fn delete_claim(&mut self, which: usize) {
        let without = self.claims_that(|claim| claim.volume.is_none() && !claim.deleted);
        if let Some(claim) = pick(&without, which) {
            self.claims[claim].deleted = true;
            self.show_claim(claim);
        }
    }

    /// A pod that was taken somewhere goes nowhere, if nothing shows it yet.
    fn give_up(&mut self, pod: usize) {
        let claims = self.pods[pod].claims.clone();
        if claims
            .iter()
            .all(|claim| self.undecided(*claim) || self.claims[*claim].deleted)
        {
            self.pods[pod].taken = None;
        }
    }

    /// Long enough for every promise that nobody means any more, and no decision takes as long to be written.
    fn time_passes(&mut self) {
        self.show_all_that_is_taken();
        self.index.tick(self.now);
        self.now += LIMIT;
        self.index.tick(self.now);
    }

    fn happen(&mut self, event: Event) -> TestCaseResult {
        match event {
            Event::Schedule(pod, choice) => self.schedule(pod, choice),
            Event::Annotate(which) => {
                self.annotate(which);
            }
            Event::CreateVolume(which) => self.create_volume(which),
            Event::MakeNamespace(which, node_first) => self.make_namespace(which, node_first)?,
            Event::Bind(which) => self.bind(which),
            Event::DeleteClaim(which) => self.delete_claim(which),
            Event::GiveUp(which) => {
                if let Some(pod) = pick(&self.pods_that(|pod| pod.taken.is_some()), which) {
                    self.give_up(pod);
                }
            }
            Event::TimePasses => self.time_passes(),
            Event::Restart => self.restart(),
        }
        self.no_promise_outlives_its_claim()
    }

    fn promised(&self) -> Vec<usize> {
        let ledger = self.index.ledger();
        let promises = NODES.iter().flat_map(|node| ledger.on(node));
        promises
            .map(|(promise, _)| promise.claim.name[1..].parse().unwrap())
            .collect()
    }

    fn no_promise_outlives_its_claim(&self) -> TestCaseResult {
        for claim in self.promised() {
            let real = &self.claims[claim];
            prop_assert!(
                !real.deleted && !real.bound && real.volume.is_none(),
                "claim {claim} holds a promise"
            );
        }
        Ok(())
    }

    /// Everything that was decided is carried out, in the order that `seed` says.
    fn finish(&mut self, seed: usize) -> TestCaseResult {
        self.time_passes();
        for step in 0..self.claims.len() {
            self.create_volume(seed.rotate_left(u32::try_from(step).unwrap()));
        }
        for step in 0..self.claims.len() {
            self.make_namespace(seed.rotate_right(u32::try_from(step).unwrap()), step % 2 == 0)?;
        }
        self.time_passes();
        prop_assert_eq!(self.promised(), Vec::<usize>::new());
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_is_offered_can_be_created(
        sizes in prop::collection::vec(1_u32..80, 1..14),
        pods in prop::collection::vec(prop::collection::vec(0_usize..14, 1..4), 1..14),
        candidates in 1_usize..4,
        events in prop::collection::vec(event(), 1..80),
        seed in any::<usize>(),
    ) {
        let mut world = World::new(&sizes, &pods, candidates);
        for event in events {
            world.happen(event)?;
        }
        world.finish(seed)?;
    }
}
