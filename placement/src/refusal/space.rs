//! The numbers about space that a refusal shows.

use serde::Serialize;

use crate::{Bytes, NumaNode};

/// The space of one region, as shown to somebody who got none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Space {
    /// Where it is, if the platform says.
    pub numa: Option<NumaNode>,
    /// Usable bytes of the largest namespace that can be made there now.
    pub largest: Bytes,
    /// Raw free bytes.
    pub free: Bytes,
    /// In how many extents they are.
    pub extents: usize,
}

/// What a [`Reservation`](crate::Reservation) takes on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReservedSpace {
    /// `namespace/name`, for people.
    pub claim: String,
    /// Raw bytes.
    pub bytes: Bytes,
}

/// The region with the largest namespace; of equal ones the last.
pub(super) fn best(spaces: &[Space]) -> Option<&Space> {
    spaces.iter().max_by_key(|space| space.largest)
}

/// Raw free bytes of all regions.
pub(super) fn free(spaces: &[Space]) -> Bytes {
    spaces.iter().map(|space| space.free).sum()
}

/// Free extents of all regions.
pub(super) fn extents(spaces: &[Space]) -> usize {
    spaces.iter().map(|space| space.extents).sum()
}
