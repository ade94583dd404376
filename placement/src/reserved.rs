//! Space that is spoken for: a node was chosen for the claim, but there is no volume yet.

use std::fmt;

use serde::Serialize;

use crate::{Bytes, Node, PendingVolume, VolumeRequest};

/// A claim that a node was chosen for, but that has no volume yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// `namespace/name`, for people.
    pub claim: String,
    /// What it asks for.
    pub request: VolumeRequest,
}

/// What a [`Reservation`] takes on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReservedSpace {
    /// `namespace/name`, for people.
    pub claim: String,
    /// Raw bytes.
    pub bytes: Bytes,
}

impl From<&Reservation> for PendingVolume {
    fn from(of: &Reservation) -> Self {
        Self {
            request: of.request,
            region: None,
        }
    }
}

impl Node {
    /// This node once the claims of `reservations` are there, created in this order, with what they take. One that does
    /// not fit takes nothing: the node will refuse it.
    pub(crate) fn reserve(mut self, reservations: &[Reservation]) -> (Self, Vec<ReservedSpace>) {
        let take = |reservation: &Reservation| {
            let placed = self.place(&reservation.request).ok()?;
            Some(ReservedSpace {
                claim: reservation.claim.clone(),
                bytes: placed.extent.size,
            })
        };
        let taken = reservations.iter().filter_map(take).collect();
        (self, taken)
    }
}

/// ", 32 MiB reserved for ns/claim"; nothing if nothing is.
pub(crate) struct ReservedFor<'a>(pub(crate) &'a [ReservedSpace]);

impl fmt::Display for ReservedFor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([first, others @ ..]) = self else {
            return Ok(());
        };
        let bytes: Bytes = self.0.iter().map(|reserved| reserved.bytes).sum();
        write!(f, ", {bytes} reserved for {}", first.claim)?;
        match others {
            [] => Ok(()),
            [second] => write!(f, " and {}", second.claim),
            more => write!(f, " and {} more", more.len()),
        }
    }
}
