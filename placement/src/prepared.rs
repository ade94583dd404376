//! Nodes prepared for many questions, so that thousands of them answer within a millisecond.
//!
//! The answers are those of [`Node`]; only the work that does not depend on the question is done beforehand.

use std::sync::{Arc, OnceLock};

use crate::committed::Committed;
use crate::glance::{Alone, Glance};
use crate::joint::in_every_order;
use crate::node::on_one_numa_node;
use crate::refusal::{Spaces, untried};
use crate::reserved::ReservedFor;
use crate::rooms::{Rooms, Takes};
use crate::{
    Bytes, Cost, Explanation, Joint, MapLocation, Mode, Node, NumaWish, Occupancy, PendingVolume, PodRequest, Policy,
    Reason, Refusal, Region, Reservation, ReservedSpace, Space, VolumeRequest,
};

#[cfg(test)]
mod tests;
mod together;

/// A node whose holes are already rounded to what the kernel can use of them.
#[derive(Debug)]
pub struct PreparedNode {
    glance: Glance,
    /// Out of the way of the glances: these are looked at one after the other.
    details: Box<Details>,
}

/// What is needed where a glance does not settle it.
#[derive(Debug)]
struct Details {
    /// With all that is promised taken off.
    node: Node,
    rooms: Rooms,
    /// All that is promised, for it comes to be created before, between or after what is asked for.
    committed: Committed,
    reserved: Vec<ReservedSpace>,
    /// What a refusal says about the space, for each [`Mode`] without a given NUMA node; made when first needed.
    space_texts: [OnceLock<Arc<str>>; 3],
}

/// What becomes of an ask.
enum Verdict {
    Fits,
    /// This one does not fit, even alone.
    NoSpace(usize),
    /// This one does not fit for a reason that does not depend on the free space.
    Never(usize),
    NotTogether {
        tried_all: bool,
    },
}

impl From<Joint> for Verdict {
    fn from(answer: Joint) -> Self {
        match answer {
            Joint::Fits => Self::Fits,
            Joint::Fails(_) => Self::NotTogether { tried_all: true },
            Joint::Unknown => Self::NotTogether { tried_all: false },
        }
    }
}

impl From<Node> for PreparedNode {
    fn from(node: Node) -> Self {
        Self::new(node, Committed::default(), Vec::new())
    }
}

impl PreparedNode {
    /// A node that published `node`, with the volumes that are `pending` there, in the order in which they were made, and
    /// with `reservations`: all of these are going to be created, in an order that nobody knows.
    ///
    /// What it says to fit does so in every order of creation of all claims, the promised ones included. With more than a
    /// few of these, and hardly any space besides, it may say of claims that fit that they do not.
    #[must_use]
    pub fn with_promised(node: &Node, pending: &[PendingVolume], reservations: &[Reservation]) -> Self {
        let (view, reserved) = node.with_pending(pending).reserve(reservations);
        let reservations = reservations.iter().map(PendingVolume::from);
        let committed = Committed::new(node, pending.iter().cloned().chain(reservations));
        Self::new(view, committed, reserved)
    }

    fn new(node: Node, committed: Committed, reserved: Vec<ReservedSpace>) -> Self {
        let rooms = Rooms::of(&node);
        let glance = Glance::of(&node, &rooms);
        Self {
            glance: match committed.promised() {
                Some((promised, largest)) => glance.with_promised(promised, &largest),
                None => glance,
            },
            details: Box::new(Details {
                node,
                rooms,
                committed,
                reserved,
                space_texts: Default::default(),
            }),
        }
    }

    /// The same, with what is in its regions, which [`Policy::Pack`] takes into account. Regions that are not named count
    /// as crowded.
    #[must_use]
    pub fn with_occupancy(mut self, occupancy: &[Occupancy]) -> Self {
        for (region, surcharge) in self.details.node.regions.iter().zip(self.glance.surcharges_mut()) {
            let here = occupancy.iter().find(|here| here.region == region.id);
            *surcharge = here.map_or(Bytes::ZERO, Occupancy::surcharge);
        }
        self
    }

    /// The node itself, with all that is promised taken off, as if it were created in the order given.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.details.node
    }

    /// Raw bytes that are free, with all that is promised taken off.
    #[must_use]
    pub fn free(&self) -> Bytes {
        self.glance.free()
    }

    /// What is taken off for reservations.
    #[must_use]
    pub fn reserved(&self) -> &[ReservedSpace] {
        &self.details.reserved
    }

    /// Whether all wants fit, in whatever order they come to be created, also among the promised ones: without any of
    /// these it is the answer of [`Node::fits`].
    ///
    /// # Errors
    /// The text of what [`explain`](Self::explain) says.
    pub fn fits(&self, pod_request: &mut PodRequest) -> Result<(), Reason> {
        match self.verdict(pod_request) {
            Verdict::Fits => Ok(()),
            Verdict::NoSpace(index) => {
                let space = self.space_text(&pod_request.requests()[index]);
                Err(Reason::new(pod_request.text_of(index), space, ""))
            }
            Verdict::Never(index) => Err(self.details.node.refusal(&pod_request.requests()[index]).into()),
            Verdict::NotTogether { tried_all } => {
                let anywhere = VolumeRequest {
                    numa: NumaWish::Any,
                    ..pod_request.requests()[0]
                };
                Err(Reason::new(
                    pod_request.text(),
                    self.space_text(&anywhere),
                    untried(tried_all),
                ))
            }
        }
    }

    /// Why not all wants fit, with all the numbers; none if they do.
    pub fn explain(&self, pod_request: &mut PodRequest) -> Option<Explanation> {
        let refusal = match self.verdict(pod_request) {
            Verdict::Fits => return None,
            Verdict::NoSpace(index) | Verdict::Never(index) => {
                self.details.node.refusal(&pod_request.requests()[index])
            }
            Verdict::NotTogether { tried_all } => Refusal::NotTogether {
                required: pod_request.requests().iter().map(|request| request.required).collect(),
                on_one_numa_node: on_one_numa_node(pod_request.requests()),
                space: self.details.node.spaces(|_| true, pod_request.requests()),
                tried_all,
            },
        };
        Some(Explanation::new(&refusal, self.reserved()))
    }

    /// Whether each of the wants fits if it is the only one.
    pub fn fits_each(&self, pod_request: &mut PodRequest) -> bool {
        self.first_that_does_not_fit(pod_request).is_none()
    }

    /// How bad this node is for these wants; none if they do not fit in the order given.
    #[must_use]
    pub fn cost(&self, policy: Policy, pod_request: &mut PodRequest) -> Option<Cost> {
        if on_one_numa_node(pod_request.requests()) == 0 {
            return self.glance.cost(policy, pod_request, NumaWish::Any);
        }
        let choices = self.node().choices(pod_request.requests()).into_iter();
        choices
            .filter_map(|choice| self.glance.cost(policy, pod_request, choice))
            .min()
    }

    /// Has what most questions need of these nodes fetched from memory, all at once and not one after the other. Asking
    /// thousands of nodes is that much faster; it changes no answer.
    pub fn fetch<'a>(nodes: impl IntoIterator<Item = &'a Self>) {
        let looks = nodes.into_iter().map(|node| node.glance.look());
        std::hint::black_box(looks.fold(0, |all, look| all ^ look));
    }

    fn verdict(&self, pod_request: &mut PodRequest) -> Verdict {
        if let Some(verdict) = self.first_that_does_not_fit(pod_request) {
            return verdict;
        }
        if self.glance.has_promised() && !pod_request.requests().is_empty() {
            return self.beside_promised(pod_request).into();
        }
        if on_one_numa_node(pod_request.requests()) == 0 && self.glance.has_room_for_all(pod_request) {
            return Verdict::Fits;
        }
        self.in_one_choice(pod_request)
    }

    /// Whether all wants fit beside what is promised, wherever `together` comes to: it is not known for the promised ones,
    /// and will not be known of these.
    fn beside_promised(&self, pod_request: &mut PodRequest) -> Joint {
        if pod_request
            .requests()
            .iter()
            .any(|request| request.numa == NumaWish::Together)
        {
            return self.beside_wherever(pod_request);
        }
        if self.glance.is_ample_for(pod_request) {
            return Joint::Fits;
        }
        self.details
            .committed
            .leaves_room_for(self.takes(pod_request, NumaWish::Any), pod_request)
    }

    /// Whether all wants fit with one of the choices for `together`.
    fn in_one_choice(&self, pod_request: &mut PodRequest) -> Verdict {
        let mut tried_all = true;
        for choice in self.details.node.choices(pod_request.requests()) {
            match self.joint(pod_request, choice) {
                Joint::Fits => return Verdict::Fits,
                Joint::Fails(_) => {}
                Joint::Unknown => tried_all = false,
            }
        }
        Verdict::NotTogether { tried_all }
    }

    fn first_that_does_not_fit(&self, pod_request: &mut PodRequest) -> Option<Verdict> {
        (0..pod_request.requests().len()).find_map(|index| match self.glance.alone(pod_request, index) {
            Alone::Fits => None,
            Alone::NoSpace => Some(Verdict::NoSpace(index)),
            Alone::Never => Some(Verdict::Never(index)),
        })
    }

    /// Whether all wants fit in every order if `together` comes to `choice`.
    fn joint(&self, pod_request: &mut PodRequest, choice: NumaWish) -> Joint {
        let takes = self.takes(pod_request, choice);
        pod_request.search(|steps| in_every_order(&self.details.rooms, takes, steps))
    }

    /// What each of the wants takes in each region if `together` comes to `choice`.
    fn takes(&self, pod_request: &mut PodRequest, choice: NumaWish) -> Vec<Takes> {
        let n = pod_request.requests().len();
        (0..n)
            .map(|index| self.glance.takes(pod_request, index, choice))
            .collect()
    }

    fn space_text(&self, request: &VolumeRequest) -> Arc<str> {
        let make = || {
            let wished = |region: &Region| request.numa.allows(region.numa);
            let space: Vec<Space> = self.details.node.spaces(wished, std::slice::from_ref(request));
            format!("{}{}", Spaces(&space), ReservedFor(self.reserved())).into()
        };
        match request.numa {
            NumaWish::Any | NumaWish::Together => self.details.space_texts[index_of(request.mode)]
                .get_or_init(make)
                .clone(),
            NumaWish::Node(_) => make(),
        }
    }
}

fn index_of(mode: Mode) -> usize {
    match mode {
        Mode::Fsdax(MapLocation::Dev) => 0,
        Mode::Fsdax(MapLocation::Mem) => 1,
        Mode::Sector => 2,
    }
}
