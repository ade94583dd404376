//! Space that is spoken for: a node was chosen for the claim, but there is no volume yet.

use std::fmt;

use serde::Serialize;

use crate::{Bytes, Node, Want};

/// A claim that a node was chosen for, but that has no volume yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// `namespace/name`, for people.
    pub claim: String,
    /// What it asks for, with `together` [settled](Node::settle).
    pub want: Want,
}

/// What a [`Reservation`] takes on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reserved {
    /// `namespace/name`, for people.
    pub claim: String,
    /// Raw bytes.
    pub bytes: Bytes,
}

impl From<(&Reservation, Bytes)> for Reserved {
    fn from((of, bytes): (&Reservation, Bytes)) -> Self {
        Self {
            claim: of.claim.clone(),
            bytes,
        }
    }
}

impl Node {
    /// This node once the claims of `reservations` are there, created in this order, with those that fit and the raw
    /// bytes they take. One that does not fit takes nothing: the node will refuse it.
    pub(crate) fn reserve<'r>(&self, reservations: &'r [Reservation]) -> (Self, Vec<(&'r Reservation, Bytes)>) {
        let mut view = self.clone();
        let take = |reservation: &'r Reservation| {
            let placed = view.place(&reservation.want).ok()?;
            Some((reservation, placed.extent.size))
        };
        let taken = reservations.iter().filter_map(take).collect();
        (view, taken)
    }
}

/// ", 32 MiB reserved for ns/claim"; nothing if nothing is.
pub(crate) struct ReservedFor<'a>(pub(crate) &'a [Reserved]);

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
