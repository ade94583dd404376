//! CreateVolume, as the operator decides on it.

use placement::{Node, NumaNode, NumaWish, PendingVolume, VolumeRequest};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::cluster::{Model, RealVolume};

impl Model {
    /// Makes the volume of a claim on the node that it was given to. If its class wishes it together with others, it
    /// follows those that are there; the first is settled so that all that the pod still needs fits.
    pub(super) fn operate(&mut self, claim: usize) -> TestCaseResult {
        let Some(node) = self.claims[claim].annotated else {
            return Ok(());
        };
        let view = self.seen_by_operator(node);
        let there = self.numa_of_company(claim);
        let settled = match there {
            Some(numa) => Ok(NumaWish::Node(numa)),
            None => view.settle(&self.wants_of_pod(claim)).map(|requests| requests[0].numa),
        };
        prop_assert!(
            settled.is_ok(),
            "claim {claim} is refused for {node}: {}",
            settled.unwrap_err()
        );
        let numa = settled.unwrap();
        let request = VolumeRequest {
            numa,
            ..self.claims[claim].request()
        };
        prop_assert!(
            view.left_over(&request).is_ok(),
            "claim {claim} has no space on {node} with {there:?}"
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

    /// The other claims of its pod that wish to be together.
    fn company(&self, claim: usize) -> Vec<usize> {
        if !self.claims[claim].together {
            return Vec::new();
        }
        let pods = self.pods.iter().filter(|pod| pod.claims.contains(&claim));
        let others = pods.flat_map(|pod| pod.claims.iter().copied());
        others
            .filter(|other| *other != claim && self.claims[*other].together)
            .collect()
    }

    fn numa_of_company(&self, claim: usize) -> Option<NumaNode> {
        let volumes = self
            .company(claim)
            .into_iter()
            .filter_map(|other| self.claims[other].volume);
        let mut numas = volumes.filter_map(|volume| match (volume.region, volume.numa) {
            (Some(numa), _) | (None, NumaWish::Node(numa)) => Some(numa),
            (None, NumaWish::Any | NumaWish::Together) => None,
        });
        numas.next()
    }

    /// What a claim and the others of its pods still ask for. Only who wishes to be together looks at the others.
    fn wants_of_pod(&self, claim: usize) -> Vec<VolumeRequest> {
        let pods = self
            .pods
            .iter()
            .filter(|pod| self.claims[claim].together && pod.claims.contains(&claim));
        let others = pods
            .flat_map(|pod| pod.claims.iter().copied())
            .filter(|other| *other != claim);
        let to_come = others.filter(|other| self.claims[*other].volume.is_none() && !self.claims[*other].deleted);
        [claim]
            .into_iter()
            .chain(to_come)
            .map(|claim| self.claims[claim].request())
            .collect()
    }

    /// All volumes of a pod that wish so are on one NUMA node.
    pub(super) fn wishes_are_kept(&self) -> TestCaseResult {
        for claim in self.claims_that(|claim| claim.together && claim.volume.is_some()) {
            let region = |claim: usize| self.claims[claim].volume.and_then(|volume| volume.region);
            for other in self.company(claim) {
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
