//! Whether several claims fit in every order of creation.
//!
//! # What is asked
//! The claims of a pod are created one by one, in an order that nobody controls. Each goes where [`Node::place`] puts it
//! at that moment. They *fit* if in each of the n! orders each of them finds a hole.
//!
//! # What is done
//! A search for an order that fails, over the states that some order can reach. A state is what is left of each hole and
//! how many claims of each group are still to come; claims are of one group if they take the same in each region. Three
//! things keep it small, and none of them changes the answer:
//!
//! 1. *Safe states are not entered.* A claim that takes `t` has no hole left only if each hole of `u ≥ t` bytes that it
//!    may use has lost more than `u − t` of them to the others. If all the others together take less than the sum of
//!    that over its holes, then it fits after any of them in any order. A state where this holds of all groups is safe.
//! 2. *A state is entered once*, however many orders lead to it. What is left of a hole counts as nothing once it is too
//!    small for all that are still to come: it cannot be chosen any more.
//! 3. *The likely failures are tried first*: largest first, smallest first, and each group last.
//!
//! After some steps, each of which creates one claim, the search gives up, and the answer is [`Joint::Unknown`]: whoever
//! asks must treat it as "does not fit", which is the safe side. [`Joint::Fits`] and [`Joint::Fails`] are always exact.
//! For one node that is [`STEPS_PER_NODE`]. All nodes that one pod is tried on have [`STEPS_PER_POD`], so that no pod holds
//! up the scheduler for long.
//!
//! # What is not promised
//! More free space can hurt: holes of 4 | 3, 3 MiB in two regions hold claims of 4, 3 and 3 in every order, but with 4 | 4, 3
//! both small claims may take the holes of 4. So the answer is not monotone in the free space; it is in the claims: what
//! fits together fits in part.
//!
//! [`Node::place`]: crate::Node::place

mod group;
mod safe;
mod search;
mod state;

use crate::Bytes;
use crate::holes::{Footprints, Holes};

use group::{claims_of, groups};
use search::{Search, Stop};
use state::State;

/// Steps after which a search gives up: enough for any six claims (1,956 at most), and for most pods with eight on a node
/// that is nearly full, in a few milliseconds.
pub(crate) const STEPS_PER_NODE: usize = 8192;
/// The same for all nodes that one pod is tried on: below a second.
pub(crate) const STEPS_PER_POD: usize = 1 << 20;

/// Whether several claims fit in every order of creation.
///
/// [`Fits`](Self::Fits) and [`Fails`](Self::Fails) are exact. Up to six claims the answer is never
/// [`Unknown`](Self::Unknown). What fits together fits in part; but more free space can turn a fit into a failure, because
/// it can lead a claim away from the hole where it would have been out of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joint {
    /// They do.
    Fits,
    /// Created in this order, given as indices into the claims, the last one finds no space.
    Fails(Vec<usize>),
    /// There are too many different orders to tell. They may fit or not.
    Unknown,
}

/// Whether claims that take `claims` fit into `holes` in every order. What the search takes goes off `steps`: with none
/// of them, only what is safe fits, and all else is unknown.
pub(crate) fn in_every_order(holes: &Holes, claims: &[Footprints], steps: &mut usize) -> Joint {
    let groups = groups(claims);
    let start = State::before_any_of(&groups, holes);
    if safe::is_safe(holes, &groups, &start) {
        return Joint::Fits;
    }
    if *steps == 0 {
        return Joint::Unknown;
    }
    match Search::new(holes, &groups, steps).run(start) {
        Ok(()) => Joint::Fits,
        Err(Stop::Fails(order)) => Joint::Fails(claims_of(&groups, &order)),
        Err(Stop::TooManySteps) => Joint::Unknown,
    }
}

/// As long as others than `claims` take less than this, each of `claims` finds a hole, in whatever order all are created.
pub(crate) fn spare_beside(holes: &Holes, claims: &[Footprints]) -> Bytes {
    let groups = groups(claims);
    safe::spare(holes, &groups, &State::before_any_of(&groups, holes)).unwrap_or(Bytes::MAX)
}
