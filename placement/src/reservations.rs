//! Space that is held for volumes to come: those that exist and that the node did not report yet (*pending*), and claims
//! that a node was chosen for and that have no volume yet (*reserved*).

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use crate::holes::{Footprints, Holes};
use crate::order::{in_every_order, spare_beside};
use crate::{Bytes, Joint, Node, NumaWish, Placed, PodRequest, Refusal, RegionId, ReservedSpace, VolumeRequest};

/// With up to so many claims orders are tried. That takes long with many, and is asked of thousands of nodes.
const TRIED: usize = 5;

/// A volume that exists as an object, but that the extents which its node reported do not leave out yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingVolume {
    /// What it asks for.
    pub request: VolumeRequest,
    /// The region that the node chose for it, once it did: it goes there, as long as it can.
    pub region: Option<RegionId>,
}

/// A claim that a node was chosen for, but that has no volume yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// `namespace/name`, for people.
    pub claim: String,
    /// What it asks for.
    pub request: VolumeRequest,
    /// The unique id of the pod that it is for, if that is known: what its claims wish to be together comes to be on one NUMA node.
    pub pod: Option<Arc<str>>,
}

impl Node {
    /// This node once `pending` is there, created in this order. A volume that does not fit takes nothing: the node will
    /// refuse it.
    #[must_use]
    pub fn with_pending(&self, pending: &[PendingVolume]) -> Self {
        let mut after = self.clone();
        for volume in pending {
            let _refused = after.make(volume);
        }
        after
    }

    /// Takes the space for one volume more and says where it is: in the region that was chosen for it, if that is ready, may hold it
    /// and has a hole for it, else as [`place`](Self::place) says. Others were promised what is left beside it there.
    ///
    /// # Errors
    /// As [`place`](Self::place).
    pub fn make(&mut self, volume: &PendingVolume) -> Result<Placed, Refusal> {
        let holes = Holes::of(&self.regions);
        match chosen(self, &holes, volume, &volume.request.footprints(&holes)) {
            Some(region) => self.place_in(region, &volume.request),
            None => self.place(&volume.request),
        }
    }

    /// This node once the claims of `reservations` are there, created in this order, and what they take. One that does
    /// not fit takes nothing: the node will refuse it. Those that wish to be together are on the NUMA node that may
    /// hold them, if there is only one.
    pub(crate) fn with_reserved(mut self, reservations: &[Reservation]) -> (Self, Vec<ReservedSpace>) {
        let holes = Holes::of(&self.regions);
        let take = |reservation: &Reservation| {
            let request = match wherever(&holes, reservation, reservations)[..] {
                [only] => only,
                _ => reservation.request,
            };
            let placed = self.place(&request).ok()?;
            Some(ReservedSpace {
                claim: reservation.claim.clone(),
                bytes: placed.extent.size,
            })
        };
        let taken = reservations.iter().filter_map(take).collect();
        (self, taken)
    }
}

/// All that space is held for on a node. Nobody knows in what order it comes to be created.
///
/// Few claims are tried in every order. More of them are only counted: they fit if their node is *safe*, as the head of
/// `order/mod.rs` has it. That holds of those that remain when some of them are created or go.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// The holes before any of it is there.
    holes: Holes,
    footprints: Vec<Footprints>,
}

impl Held {
    /// What does not fit even alone is left out: the node will refuse it. A claim that wishes to be
    /// [`Together`](NumaWish::Together) with others is counted on each NUMA node where it may come to be.
    pub fn on(node: &Node, pending: &[PendingVolume], reservations: &[Reservation]) -> Self {
        let holes = Holes::of(&node.regions);
        let pending = pending.iter().flat_map(|volume| of_pending(node, &holes, volume));
        let reserved = reservations
            .iter()
            .flat_map(|reserved| wherever(&holes, reserved, reservations));
        let reserved = reserved.map(|request| request.footprints(&holes));
        let fits_alone = |footprints: &Footprints| holes.have_one_for(footprints);
        let footprints = pending.chain(reserved).filter(fits_alone).collect();
        Self { holes, footprints }
    }

    /// The holes before any of it is there.
    pub fn holes(&self) -> &Holes {
        &self.holes
    }

    /// What all of it takes at most; nothing if nothing is held.
    pub fn most(&self) -> Bytes {
        let most = |footprints: &Footprints| footprints.iter().flatten().copied().max().unwrap_or_default();
        self.footprints.iter().map(most).sum()
    }

    /// As long as others take less than this, each claim finds a hole.
    pub fn spare(&self) -> Bytes {
        spare_beside(&self.holes, &self.footprints)
    }

    /// Whether all that space is held for fits together with claims that take `asked`, in whatever order the volumes are
    /// created. It never says so where there is an order in which one of them fails.
    pub fn fit_with(&self, asked: impl IntoIterator<Item = Footprints>, pod_request: &mut PodRequest) -> Joint {
        let all: SmallVec<[Footprints; 4]> = self.footprints.iter().cloned().chain(asked).collect();
        if all.len() > TRIED {
            return in_every_order(&self.holes, &all, &mut 0);
        }
        pod_request.search(|steps| in_every_order(&self.holes, &all, steps))
    }
}

/// What a pending volume takes: where its node chose a region, there only. A region where it cannot be any more counts as not
/// chosen, as in [`Node::make`].
fn of_pending(node: &Node, holes: &Holes, volume: &PendingVolume) -> SmallVec<[Footprints; 2]> {
    let footprints = volume.request.footprints(holes);
    let Some(chosen) = chosen(node, holes, volume, &footprints) else {
        let requests = volume.request.in_each(&holes.choices_of_some()).into_iter();
        return requests.map(|request| request.footprints(holes)).collect();
    };
    let footprints = footprints.into_iter().enumerate();
    let there = footprints.map(|(region, footprint)| footprint.filter(|_| region == chosen));
    std::iter::once(there.collect()).collect()
}

/// The position of the region that was chosen for a volume with these footprints, if it is among those of `node` and has a hole for it.
fn chosen(node: &Node, holes: &Holes, volume: &PendingVolume, footprints: &Footprints) -> Option<usize> {
    let id = volume.region.as_ref()?;
    let region = node.regions.iter().position(|region| region.id == *id)?;
    let has_hole = footprints[region].is_some_and(|footprint| footprint <= holes.regions()[region].largest);
    has_hole.then_some(region)
}

/// What a reserved claim asks for, once for each NUMA node where it may come to be if it wishes to be together with others: where all
/// claims of its pod may be that have no volume yet.
///
/// It is asked anew whenever the space changes: where they can be is not known from what was so when they were reserved.
fn wherever(holes: &Holes, reservation: &Reservation, all: &[Reservation]) -> SmallVec<[VolumeRequest; 4]> {
    let Reservation { request, pod, .. } = reservation;
    match (request.numa, pod) {
        (NumaWish::Any | NumaWish::Node(_), _) => smallvec![*request],
        (NumaWish::Together, None) => request.in_each(&holes.choices_of_some()),
        (NumaWish::Together, Some(_)) => {
            let own = all.iter().filter(|other| other.pod == *pod);
            let requests: Vec<VolumeRequest> = own.map(|other| other.request).collect();
            request.in_each(&holes.choices_that_may_hold(&requests))
        }
    }
}
