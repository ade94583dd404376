//! Where the volumes of a pod are that have to be on one NUMA node with those that it still needs.

use std::collections::BTreeSet;

use placement::{NumaNode, NumaWish, together_with};

use super::Pin;
use crate::ledger::Reservation;

/// Where the volumes of a pod are whose class wishes them together, as far as there are any.
#[derive(Debug, Default)]
pub(super) struct Company {
    there: BTreeSet<(Box<str>, NumaNode)>,
}

impl Company {
    /// One of them is where `pin` says, on this NUMA node if it wishes to be together and that is known.
    pub(super) fn add(&mut self, pin: &Pin, numa: Option<NumaNode>) {
        self.there.extend(numa.map(|numa| (pin.node.clone(), numa)));
    }

    /// The claims that wish to be together have to be where the others are: the operator makes no other volume.
    ///
    /// # Errors
    /// If the others are not on one NUMA node themselves. Volumes on several nodes are none of our concern: no node will do
    /// then.
    pub(super) fn settle(&self, claims: &mut [Reservation]) -> Result<(), String> {
        let nodes: BTreeSet<&str> = self.there.iter().map(|(node, _)| &**node).collect();
        if nodes.len() > 1 {
            return Ok(());
        }
        let numa = together_with(self.there.iter().map(|(_, numa)| *numa).collect());
        for claim in claims
            .iter_mut()
            .filter(|claim| claim.request.numa == NumaWish::Together)
        {
            match &numa {
                Ok(Some(numa)) => claim.request.numa = NumaWish::Node(*numa),
                Ok(None) => {}
                Err(apart) => return Err(format!("claim {}: {apart}", claim.claim)),
            }
        }
        Ok(())
    }
}
