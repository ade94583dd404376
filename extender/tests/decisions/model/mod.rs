//! A small cluster in which everything happens in any order: kube-scheduler, provisioner, drivers and people.
//!
//! The extender sees of it only what watches would have shown. Whatever passed and was taken is created in the end, by the
//! rules of the node itself, and has to fit there.

mod actual;
mod operator;

use std::time::Duration;

use actual::{Model, RealPod, name};
use cluster::watch::Indexes;
use cluster::{Pod, ReadObjects};
use extender::decide::filter_and_reserve;
use extender::ledger::Ledger;
use extender::state::State;
use placement::VolumeRequest;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::testing::{class, pod_named};

const LIMIT: Duration = Duration::from_secs(120);
const NODES: [&str; 3] = ["n0", "n1", "n2"];

/// What happens next; the number says to whom, among those that it can happen to.
#[derive(Clone, Copy, Debug)]
enum Event {
    Schedule(usize, usize),
    Annotate(usize),
    CreateVolume(usize),
    MakeNamespace(usize),
    ShowVolume(usize),
    ShowNode(usize),
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
        3 => any::<usize>().prop_map(Event::MakeNamespace),
        4 => any::<usize>().prop_map(Event::ShowVolume),
        3 => any::<usize>().prop_map(Event::ShowNode),
        2 => any::<usize>().prop_map(Event::Bind),
        1 => any::<usize>().prop_map(Event::DeleteClaim),
        1 => any::<usize>().prop_map(Event::GiveUp),
        1 => Just(Event::TimePasses),
        1 => Just(Event::Restart),
    ]
}

fn pick(from: &[usize], which: usize) -> Option<usize> {
    (!from.is_empty()).then(|| from[which % from.len()])
}

impl Model {
    /// The index is built anew from what the cluster shows. What was taken and not shown yet is lost: in the real model
    /// a CreateVolume may be refused then, here kube-scheduler either has written a decision or gives up on it.
    fn restart(&mut self) {
        for pod in 0..self.pods.len() {
            self.give_up(pod);
        }
        self.show_all_that_is_taken();
        self.state = State::new(Ledger::new(LIMIT));
        self.state.apply(&class("fsdax", &[]));
        self.state
            .apply(&class("together", &[("csi.daxfit.dev/numa", "together")]));
        for claim in 0..self.claims.len() {
            self.show_claim(claim);
        }
        self.show_nodes_and_volumes();
    }

    fn show_nodes_and_volumes(&mut self) {
        for node in NODES {
            self.show_node(node);
        }
        for claim in 0..self.claims.len() {
            self.show_volume(claim);
        }
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
        let filtered = filter_and_reserve(
            &mut self.state,
            &ReadObjects::default(),
            &pod,
            &candidates,
            self.choice,
            self.now,
        )
        .unwrap();
        if !filtered.passed.is_empty() {
            let taken = filtered.passed[choice % filtered.passed.len()];
            self.pods[which].taken = Some(taken);
        }
    }

    /// Whether there was anything to be written.
    fn annotate(&mut self, which: usize) -> bool {
        let taken = self.pods_that(|pod| pod.taken.is_some() && pod.claims.iter().any(|claim| self.undecided(*claim)));
        let Some(pod) = pick(&taken, which) else { return false };
        let RealPod { claims, taken } = self.pods[pod].clone();
        if let Some(claim) = claims.into_iter().find(|claim| self.undecided(*claim)) {
            self.claims[claim].selected_node = taken;
            self.show_claim(claim);
        }
        true
    }

    fn show_all_that_is_taken(&mut self) {
        while self.annotate(0) {}
    }

    fn create_volume(&mut self, which: usize) -> TestCaseResult {
        let assigned =
            self.claims_that(|claim| claim.selected_node.is_some() && claim.volume.is_none() && !claim.deleted);
        let Some(claim) = pick(&assigned, which) else {
            return Ok(());
        };
        self.operate(claim)
    }

    fn make_namespace(&mut self, which: usize) -> TestCaseResult {
        let pending = self.claims_that(|claim| claim.volume.is_some_and(|volume| volume.revision.is_none()));
        let Some(claim) = pick(&pending, which) else {
            return Ok(());
        };
        let request = self.claims[claim].request();
        let Some(volume) = &mut self.claims[claim].volume else {
            return Ok(());
        };
        let node = volume.node;
        let real = self.nodes.get_mut(node).unwrap();
        let placed = real.free.place(&VolumeRequest {
            numa: volume.numa,
            ..request
        });
        prop_assert!(
            placed.is_ok(),
            "claim {claim} is refused by {node}: {}",
            placed.unwrap_err()
        );
        let region = placed.unwrap().region;
        volume.region = real.free.regions.iter().find(|known| known.id == region).unwrap().numa;
        real.revision += 1;
        volume.revision = Some(real.revision);
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

    /// Long enough for every reservation that nobody means any more, and no decision takes as long to be written.
    fn time_passes(&mut self) {
        self.show_all_that_is_taken();
        self.show_nodes_and_volumes();
        self.state.expire(self.now);
        self.now += LIMIT;
        self.state.expire(self.now);
    }

    fn happen(&mut self, event: Event) -> TestCaseResult {
        match event {
            Event::Schedule(pod, choice) => self.schedule(pod, choice),
            Event::Annotate(which) => {
                self.annotate(which);
            }
            Event::CreateVolume(which) => self.create_volume(which)?,
            Event::MakeNamespace(which) => self.make_namespace(which)?,
            Event::ShowVolume(which) => {
                if let Some(claim) = pick(&self.claims_that(|claim| claim.volume.is_some()), which) {
                    self.show_volume(claim);
                }
            }
            Event::ShowNode(which) => self.show_node(NODES[which % NODES.len()]),
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
        self.no_reservation_outlives_its_claim()
    }

    fn reserved(&self) -> Vec<usize> {
        let ledger = self.state.ledger();
        let reservations = NODES.iter().flat_map(|node| ledger.reservations_on(node));
        reservations
            .map(|(reservation, _)| reservation.claim.name[1..].parse().unwrap())
            .collect()
    }

    fn no_reservation_outlives_its_claim(&self) -> TestCaseResult {
        for claim in self.reserved() {
            let real = &self.claims[claim];
            prop_assert!(
                !real.deleted && !real.volume.is_some_and(|volume| volume.seen),
                "claim {claim} still has a reservation"
            );
        }
        Ok(())
    }

    /// Everything that was decided is carried out, in the order that `seed` says.
    fn finish(&mut self, seed: usize) -> TestCaseResult {
        self.time_passes();
        for step in 0..self.claims.len() {
            self.create_volume(seed.rotate_left(u32::try_from(step).unwrap()))?;
        }
        for step in 0..self.claims.len() {
            self.make_namespace(seed.rotate_right(u32::try_from(step).unwrap()))?;
        }
        self.time_passes();
        prop_assert_eq!(self.reserved(), Vec::<usize>::new());
        self.wishes_are_kept()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_passes_can_be_created(
        sizes in prop::collection::vec((1_u32..80, prop::bool::weighted(0.5)), 1..14),
        pods in prop::collection::vec(prop::collection::vec(0_usize..14, 1..4), 1..14),
        candidates in 1_usize..4,
        events in prop::collection::vec(event(), 1..80),
        seed in any::<usize>(),
    ) {
        let mut model = Model::new(&sizes, &pods, candidates);
        for event in events {
            model.happen(event)?;
        }
        model.finish(seed)?;
    }
}
