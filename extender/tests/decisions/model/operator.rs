//! CreateVolume: the operator's own choice of a NUMA node, among the facts of this cluster.

use std::collections::BTreeMap;

use cluster::{CompanionPlace, Companions, choose_numa};
use crds::NumaChoice;
use placement::{Node, NumaWish, PendingVolume, VolumeRequest};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::actual::{Model, RealVolume, volume_name};

impl Model {
    /// Makes the volume of a claim on its selected node.
    pub(super) fn operate(&mut self, claim: usize) -> TestCaseResult {
        let Some(node) = self.claims[claim].selected_node else {
            return Ok(());
        };
        let (free, companions) = (self.seen_by_operator(node), self.companions(claim, node));
        let chosen = choose_numa(self.claims[claim].request(), &free, &companions);
        prop_assert!(
            chosen.is_ok(),
            "claim {claim} is refused for {node}: {}",
            chosen.unwrap_err()
        );
        let numa = match chosen.unwrap() {
            NumaChoice::Any => NumaWish::Any,
            NumaChoice::Node(numa) => NumaWish::Node(numa),
        };
        let request = VolumeRequest {
            numa,
            ..self.claims[claim].request()
        };
        prop_assert!(
            free.left_over(&request).is_ok(),
            "claim {claim} has no space on {node} with {companions:?}"
        );
        let number = self.claims.iter().filter(|claim| claim.volume.is_some()).count();
        self.claims[claim].volume = Some(RealVolume {
            node,
            numa,
            number,
            revision: None,
            region: None,
            seen: false,
        });
        Ok(())
    }

    /// What is free once all volumes are there that were asked for.
    fn seen_by_operator(&self, node: &str) -> Node {
        let volumes = self.claims.iter().filter_map(|claim| Some((claim, claim.volume?)));
        let mut pending: Vec<(usize, PendingVolume)> = volumes
            .filter(|(_, volume)| volume.node == node && volume.revision.is_none())
            .map(|(claim, volume)| (volume.number, volume.pending(claim)))
            .collect();
        pending.sort_unstable_by_key(|(number, _)| *number);
        let pending: Vec<PendingVolume> = pending.into_iter().map(|(_, pending)| pending).collect();
        self.nodes[node].free.with_pending(&pending)
    }

    /// The other claims of its pods that wish to be together.
    fn companion_claims(&self, claim: usize) -> Vec<usize> {
        if !self.claims[claim].together {
            return Vec::new();
        }
        let pods = self.pods.iter().filter(|pod| pod.claims.contains(&claim));
        let others = pods.flat_map(|pod| pod.claims.iter().copied());
        others
            .filter(|other| *other != claim && self.claims[*other].together)
            .collect()
    }

    fn companions(&self, claim: usize, node: &str) -> Companions {
        let place = |other: usize| {
            let volume = self.claims[other].volume.filter(|volume| volume.node == node)?;
            Some(match (volume.region, volume.numa) {
                (Some(numa), _) | (None, NumaWish::Node(numa)) => CompanionPlace::On(numa),
                (None, NumaWish::Any | NumaWish::Together) => CompanionPlace::NotYet(volume_name(other)),
            })
        };
        let pods = self.pods.iter().filter(|pod| pod.claims.contains(&claim));
        Companions {
            volumes: self.companion_claims(claim).into_iter().filter_map(place).collect(),
            pods: pods.map(|pod| self.requested_besides(claim, &pod.claims)).collect(),
        }
    }

    /// What the other claims of a pod ask for that have no volume yet.
    fn requested_besides(&self, claim: usize, claims: &[usize]) -> BTreeMap<String, VolumeRequest> {
        let has_no_volume = |other: &usize| {
            let real = &self.claims[*other];
            *other != claim && real.volume.is_none() && !real.deleted
        };
        let others = claims.iter().copied().filter(has_no_volume);
        others
            .map(|other| (volume_name(other), self.claims[other].request()))
            .collect()
    }

    /// All volumes of a pod that wish so are on one NUMA node.
    pub(super) fn wishes_are_kept(&self) -> TestCaseResult {
        for claim in self.claims_that(|claim| claim.together && claim.volume.is_some()) {
            let region = |claim: usize| self.claims[claim].volume.and_then(|volume| volume.region);
            for other in self.companion_claims(claim) {
                let (one, two) = (region(claim), region(other));
                prop_assert!(
                    one.is_none() || two.is_none() || one == two,
                    "claims {claim} and {other} are apart"
                );
            }
        }
        Ok(())
    }
}
