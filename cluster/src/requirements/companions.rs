//! Where the volumes of a pod are that have to be on one NUMA node with those that it still requires.

use std::collections::BTreeSet;

use placement::{NumaNode, NumaWish, together_with};

use super::{Impossible, UnprovisionedClaim};

/// Where the volumes of a pod are whose class wishes them together.
#[derive(Debug, Default)]
pub(super) struct ExistingCompanions {
    places: BTreeSet<(Box<str>, NumaNode)>,
}

impl ExistingCompanions {
    /// One of them is on this node, on this NUMA node if it wishes to be together and that is known.
    pub(super) fn add(&mut self, node: &str, numa: Option<NumaNode>) {
        self.places.extend(numa.map(|numa| (node.into(), numa)));
    }

    /// The claims that wish to be together have to be where the others are: the operator makes no other volume.
    ///
    /// # Errors
    /// The others are not on one NUMA node themselves. If they are on several nodes, no node will do anyway, and the
    /// claims stay as they are.
    pub(super) fn settle(&self, claims: &mut [UnprovisionedClaim]) -> Result<(), Impossible> {
        let nodes: BTreeSet<&str> = self.places.iter().map(|(node, _)| &**node).collect();
        if nodes.len() > 1 {
            return Ok(());
        }
        let numa = together_with(self.places.iter().map(|(_, numa)| *numa).collect());
        let together = claims
            .iter_mut()
            .filter(|claim| claim.request.numa == NumaWish::Together);
        for claim in together {
            match &numa {
                Ok(Some(numa)) => claim.request.numa = NumaWish::Node(*numa),
                Ok(None) => {}
                Err(apart) => {
                    return Err(Impossible::Apart {
                        claim: claim.key.clone(),
                        apart: apart.clone(),
                    });
                }
            }
        }
        Ok(())
    }
}
