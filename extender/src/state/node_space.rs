//! The free space of one node, computed once per change and not per question.

use std::sync::Arc;

use cluster::Claim;
use placement::{Extent, PreparedNode, RegionId};

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
            free: free_space(node, reservations)?,
            empty: node.empty_space()?,
        })
    }

    /// The volumes of the node or what is reserved there changed, but not what it reported. Returns the free space before.
    pub(super) fn refresh<'a>(
        &mut self,
        node: &ReportedNode,
        reservations: impl Iterator<Item = &'a Arc<Reservation>>,
    ) -> Option<PreparedNode> {
        let free = free_space(node, reservations)?;
        Some(std::mem::replace(&mut self.free, free))
    }

    /// Whether something may fit here that did not fit `before`.
    pub(super) fn has_more_room_than(&self, before: Option<&Self>) -> bool {
        before.is_none_or(|before| has_more_room(&self.free, &before.free))
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

/// Whether something may fit `now` that did not fit `before`: an extent is not part of one from before, or less is reserved.
pub(super) fn has_more_room(now: &PreparedNode, before: &PreparedNode) -> bool {
    let was_free = |region: &RegionId, extent: &Extent| {
        let mut regions = before.node().regions.iter().filter(|before| before.id == *region);
        regions.any(|before| before.free.iter().any(|before| before.contains(*extent)))
    };
    let mut regions = now.node().regions.iter();
    now.reserved().len() < before.reserved().len()
        || regions.any(|region| region.free.iter().any(|extent| !was_free(&region.id, extent)))
}

/// The free space of a node with these reservations there. None is needed for a claim whose namespace the node reported: its bytes
/// are not in the free extents any more, and what the other claims of its pod need is without it.
pub(super) fn free_space<'a>(
    node: &ReportedNode,
    reservations: impl Iterator<Item = &'a Arc<Reservation>>,
) -> Option<PreparedNode> {
    let reservation = |reservation: &Arc<Reservation>| {
        let request = reservation.space()?;
        let is_made = node.has_made_unshown(&Claim::volume_name_of(&reservation.uid));
        (!is_made).then(|| placement::Reservation {
            claim: reservation.claim.to_string(),
            request,
            pod: reservation.pod.clone(),
        })
    };
    let reservations: Vec<placement::Reservation> = reservations.filter_map(reservation).collect();
    node.free_space(&reservations)
}
