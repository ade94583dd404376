//! The free space of one node, computed once per change and not per question.

use std::sync::Arc;

use placement::PreparedNode;

use crate::index::ReportedNode;
use crate::ledger::Reservation;

/// The space of one node that reported it.
#[derive(Debug)]
pub struct NodeSpace {
    free: PreparedNode,
    empty: PreparedNode,
}

impl NodeSpace {
    /// None as long as the node did not report anything.
    pub(super) fn new<'a>(
        node: &ReportedNode,
        reservations: impl Iterator<Item = &'a Arc<Reservation>>,
    ) -> Option<Self> {
        Some(Self {
            free: node.free_space(&to_placement(reservations))?,
            empty: node.empty_space()?,
        })
    }

    /// The volumes of the node or what is reserved there changed, but not what it reported.
    pub(super) fn refresh<'a>(
        &mut self,
        node: &ReportedNode,
        reservations: impl Iterator<Item = &'a Arc<Reservation>>,
    ) {
        if let Some(free) = node.free_space(&to_placement(reservations)) {
            self.free = free;
        }
    }

    /// The free space at this moment: what the node reported, without its pending volumes and without what is reserved.
    #[must_use]
    pub fn free(&self) -> &PreparedNode {
        &self.free
    }

    /// The free space if nothing at all were on the node: what does not fit here never fits.
    #[must_use]
    pub fn empty(&self) -> &PreparedNode {
        &self.empty
    }
}

pub(super) fn to_placement<'a>(
    reservations: impl Iterator<Item = &'a Arc<Reservation>>,
) -> Vec<placement::Reservation> {
    let reservation = |reservation: &Arc<Reservation>| placement::Reservation {
        claim: reservation.claim.to_string(),
        request: reservation.request,
    };
    reservations.map(reservation).collect()
}
