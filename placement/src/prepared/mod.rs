//! Nodes prepared for many questions, so that thousands of them answer within a millisecond.
//!
//! The answers are those of [`Node`]; only the work that does not depend on the question is done beforehand.

mod details;
mod reason;

use std::sync::Arc;

use details::Details;
pub use reason::Reason;

use crate::fits::{Misfit, Taken};
use crate::holes::{Footprints, Holes};
use crate::reservations::Held;
use crate::{
    Bytes, Cost, Explanation, Joint, Node, NumaWish, Occupancy, PendingVolume, PodRequest, Policy, Reservation,
    ReservedSpace,
};

/// A node with what does not depend on a question worked out: its holes, and what space is held for.
#[derive(Debug)]
pub struct PreparedNode {
    /// Without what space is held for.
    holes: Holes,
    /// Raw bytes.
    free: Bytes,
    held: HeldBytes,
    /// Out of the way of what is above, which settles most questions: thousands of nodes are asked one after the other,
    /// and nearly all of that time is waiting for memory.
    details: Arc<Details>,
}

/// What space is held for, all in all.
#[derive(Clone, Copy, Debug)]
struct HeldBytes {
    /// What all of it takes at most.
    most: Bytes,
    /// As long as others take less than this, all of it finds space.
    spare: Bytes,
}

impl From<Node> for PreparedNode {
    fn from(node: Node) -> Self {
        Self::with_reservations(&node, &[], &[])
    }
}

impl PreparedNode {
    /// A node that reported `node`, with the volumes that are `pending` there, in the order in which they were made, and
    /// with `reservations`: all of these are going to be created, in an order that nobody knows.
    ///
    /// What it says to fit does so in every order of creation of all claims, the reserved ones included. With more than a
    /// few of these, and hardly any space besides, it may say of claims that fit that they do not.
    #[must_use]
    pub fn with_reservations(node: &Node, pending: &[PendingVolume], reservations: &[Reservation]) -> Self {
        let held = Held::on(node, pending, reservations);
        let (node, reserved) = node.with_pending(pending).with_reserved(reservations);
        let extents = node.regions.iter().flat_map(|region| &region.free);
        Self {
            holes: Holes::of(&node.regions),
            free: extents.map(|extent| extent.size).sum(),
            held: HeldBytes {
                most: held.most(),
                spare: held.spare(),
            },
            details: Arc::new(Details { node, held, reserved }),
        }
    }

    /// The same, with what is in its regions, which [`Policy::Pack`] takes into account. Regions that are not named count
    /// as crowded.
    #[must_use]
    pub fn with_occupancy(mut self, occupancy: &[Occupancy]) -> Self {
        for (region, holes) in self.details.node.regions.iter().zip(self.holes.regions_mut()) {
            let here = occupancy.iter().find(|here| here.region == region.id);
            holes.surcharge = here.map_or(Bytes::ZERO, Occupancy::surcharge);
        }
        self
    }

    /// The node itself, without what space is held for, as if that were created in the order given.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.details.node
    }

    /// Raw bytes that are free, without what is pending or reserved.
    #[must_use]
    pub fn free(&self) -> Bytes {
        self.free
    }

    /// What is taken off for each reservation that fits.
    #[must_use]
    pub fn reserved(&self) -> &[ReservedSpace] {
        &self.details.reserved
    }

    /// Whether all requests fit, in whatever order their volumes come to be created, also among those that space is held
    /// for: without any of these it is the answer of [`Node::fits`].
    ///
    /// # Errors
    /// The text of what [`explain`](Self::explain) says.
    pub fn fits(&self, pod_request: &mut PodRequest) -> Result<(), Reason> {
        let fits = self.fit(pod_request);
        fits.map_err(|misfit| Reason::new(pod_request.asked(), self.details.clone(), misfit))
    }

    /// Why not all requests fit, with all the numbers; none if they do.
    pub fn explain(&self, pod_request: &mut PodRequest) -> Option<Explanation> {
        let misfit = self.fit(pod_request).err()?;
        Some(self.details.explain(pod_request.requests(), misfit))
    }

    /// Whether each of the requests fits if it is the only one.
    pub fn fits_each(&self, pod_request: &mut PodRequest) -> bool {
        self.holes.fit_each(pod_request).is_ok()
    }

    /// How bad this node is for these requests; none if they do not fit in the order given.
    #[must_use]
    pub fn cost(&self, policy: Policy, pod_request: &mut PodRequest) -> Option<Cost> {
        let choices = self.holes.choices(pod_request).into_iter();
        let taken = choices.filter_map(|choice| self.holes.take_all(pod_request, choice));
        let cost = |taken: Taken| {
            let wasted = taken.left_over.plus(taken.surcharge);
            Cost::of(policy, wasted, self.free.minus(taken.bytes))
        };
        taken.map(cost).min()
    }

    /// Has what most questions need of these nodes fetched from memory, all at once and not one after the other. Asking
    /// thousands of nodes takes a fifth less time (docs/placement.md has the figures); it changes no answer.
    pub fn fetch<'a>(nodes: impl IntoIterator<Item = &'a Self>) {
        let seen = nodes.into_iter().map(Self::touch);
        std::hint::black_box(seen.fold(0, |all, seen| all ^ seen));
    }

    /// Reads a bit of each cache line: a number without a meaning.
    fn touch(&self) -> i64 {
        let region = self
            .holes
            .regions()
            .first()
            .map_or(0, |region| region.alignment.get().get());
        let hole = self.holes.sizes().first().map_or(0, |hole| hole.get());
        region ^ hole ^ self.held.most.get() ^ self.free.get()
    }

    fn fit(&self, pod_request: &mut PodRequest) -> Result<(), Misfit> {
        self.holes.fit_each(pod_request)?;
        if pod_request.requests().is_empty() || self.is_ample_for(pod_request) {
            Ok(())
        } else if self.held.most.is_zero() {
            self.holes.fit_in_every_order(pod_request)
        } else {
            self.fit_beside_held(pod_request).misfit()
        }
    }

    // To try the orders on all nodes takes three times as long.
    /// Enough, but not necessary, for all requests to fit in every order beside what space is held for: each of them may be
    /// in a hole that would hold everything. It is never so for claims that wish to be together.
    fn is_ample_for(&self, pod_request: &mut PodRequest) -> bool {
        if pod_request.wishes_together() {
            return false;
        }
        let n = pod_request.requests().len();
        let asked: Bytes = (0..n).map(|index| self.holes.most(pod_request, index)).sum();
        let everything = asked.plus(self.held.most);
        let is_ample = |index| self.holes.have_one_of(everything, pod_request, index);
        asked < self.held.spare && (0..n).all(is_ample)
    }

    /// Whether all requests fit beside what space is held for, wherever `together` comes to: it is not known of the reserved
    /// claims, and will not be known of these.
    fn fit_beside_held(&self, pod_request: &mut PodRequest) -> Joint {
        let held = &self.details.held;
        if !pod_request.wishes_together() {
            let asked = pod_request.footprints(held.holes(), NumaWish::Any);
            return held.fit_with(asked, pod_request);
        }
        let choices = held.holes().choices_that_may_hold(pod_request.requests());
        if choices.is_empty() {
            return Joint::Fails(Vec::new());
        }
        let requests = pod_request
            .requests()
            .iter()
            .flat_map(|request| request.in_each(&choices));
        let asked: Vec<Footprints> = requests.map(|request| request.footprints(held.holes())).collect();
        held.fit_with(asked, pod_request)
    }
}
