//! What settles most questions about a node, small and in one piece.
//!
//! Thousands of nodes are asked for each pod, and nearly all of that time goes into waiting for memory. So a node answers
//! most questions from a few lines of the cache, and only the others from all of its holes.

use smallvec::SmallVec;

use crate::rooms::{Rooms, Takes};
use crate::{Alignment, Bytes, Cost, Node, NumaNode, NumaWish, PodRequest, Policy};

/// What settles most questions about a node. It has room for the regions of two sockets and for a few holes; if there are
/// more, they are kept elsewhere, which takes a little longer.
#[derive(Debug)]
pub(crate) struct Glance {
    regions: SmallVec<[RegionGlance; 2]>,
    /// Usable bytes of each hole, of one region after the other, in the order in which the kernel looks at them.
    holes: Holes,
    /// Raw bytes.
    free: Bytes,
    promised: Option<Promised>,
}

#[derive(Debug)]
struct RegionGlance {
    alignment: Alignment,
    numa: Option<NumaNode>,
    /// The largest hole.
    largest: Bytes,
    /// The same before anything that is promised is there.
    largest_before: Bytes,
    /// What a volume here costs on top of what it leaves over.
    surcharge: Bytes,
    /// Where its holes end; they begin where those of the region before it end.
    holes_end: usize,
}

type Holes = SmallVec<[Bytes; 10]>;

/// What is promised on a node, altogether.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promised {
    /// What all of it takes at most.
    pub(crate) total: Bytes,
    /// What others may take before something promised may find no hole: less than this.
    pub(crate) spare: Bytes,
}

/// What becomes of a want that is the only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alone {
    Fits,
    /// There is no hole for it.
    NoSpace,
    /// It does not fit for a reason that does not depend on the free space.
    Never,
}

impl Glance {
    pub(crate) fn of(node: &Node, rooms: &Rooms) -> Self {
        let extents = node.regions.iter().flat_map(|region| &region.free);
        let mut glance = Self {
            regions: SmallVec::new(),
            holes: Holes::from_slice(&rooms.free),
            free: extents.map(|extent| extent.size).sum(),
            promised: None,
        };
        for (region, here) in node.regions.iter().zip(&rooms.regions) {
            let holes = rooms.free[here.holes.clone()].iter();
            let largest = holes.copied().max().unwrap_or_default();
            glance.regions.push(RegionGlance {
                alignment: region.alignment,
                numa: region.numa,
                largest,
                largest_before: largest,
                surcharge: Bytes::ZERO,
                holes_end: here.holes.end,
            });
        }
        glance
    }

    /// The same with what is `promised`; before any of that is there, each region has a hole of `largest`.
    pub(crate) fn with_promised(mut self, promised: Promised, largest: &[Bytes]) -> Self {
        for (region, largest) in self.regions.iter_mut().zip(largest) {
            region.largest_before = *largest;
        }
        self.promised = Some(promised);
        self
    }

    pub(crate) fn surcharges_mut(&mut self) -> impl Iterator<Item = &mut Bytes> {
        self.regions.iter_mut().map(|region| &mut region.surcharge)
    }

    /// What one of the wants takes in each region if `together` comes to `choice`.
    pub(crate) fn takes(&self, pod_request: &mut PodRequest, index: usize, choice: NumaWish) -> Takes {
        let takes = self
            .regions
            .iter()
            .map(|region| region.takes_settled(pod_request, index, choice));
        takes.collect()
    }

    /// Raw bytes.
    pub(crate) fn free(&self) -> Bytes {
        self.free
    }

    pub(crate) fn has_promised(&self) -> bool {
        self.promised.is_some()
    }

    /// What becomes of a want if it is the only one.
    pub(crate) fn alone(&self, pod_request: &mut PodRequest, index: usize) -> Alone {
        let wish = pod_request.requests()[index].numa;
        let mut answer = Alone::Never;
        for region in self.regions.iter().filter(|region| wish.allows(region.numa)) {
            match pod_request.takes(region.alignment)[index] {
                Some(takes) if region.largest >= takes => return Alone::Fits,
                Some(_) => answer = Alone::NoSpace,
                None => {}
            }
        }
        answer
    }

    /// Enough, but not necessary, for all wants that fit alone to fit in every order, if nothing is promised: each has a
    /// hole that would hold it even after all the others went there.
    pub(crate) fn has_room_for_all(&self, pod_request: &mut PodRequest) -> bool {
        let n = pod_request.requests().len();
        let has_room = |pod_request: &mut PodRequest, index: usize| {
            self.regions.iter().any(|region| {
                let all: Bytes = (0..n).filter_map(|request| region.takes(pod_request, request)).sum();
                all <= region.largest && region.takes(pod_request, index).is_some()
            })
        };
        (0..n).all(|index| has_room(pod_request, index))
    }

    /// Enough, but not necessary, for all wants to fit beside what is promised, in every order: the largest hole of some
    /// region holds everything.
    pub(crate) fn is_ample_for(&self, pod_request: &mut PodRequest) -> bool {
        let Some(Promised { total, spare }) = self.promised else {
            return false;
        };
        let n = pod_request.requests().len();
        let asked: Bytes = (0..n).map(|index| self.most(pod_request, index)).sum();
        let everything = total.plus(asked);
        let has_room = |pod_request: &mut PodRequest, index| {
            let mut regions = self.regions.iter();
            regions.any(|region| region.largest_before >= everything && region.takes(pod_request, index).is_some())
        };
        asked < spare && (0..n).all(|index| has_room(pod_request, index))
    }

    /// The most that a want takes in any region.
    fn most(&self, pod_request: &mut PodRequest, index: usize) -> Bytes {
        let takes = self
            .regions
            .iter()
            .filter_map(|region| region.takes(pod_request, index));
        takes.max().unwrap_or_default()
    }

    /// The cost of all wants in the order given, if `together` comes to `choice`; none if one of them finds no hole.
    pub(crate) fn cost(&self, policy: Policy, pod_request: &mut PodRequest, choice: NumaWish) -> Option<Cost> {
        if pod_request.requests().len() == 1 {
            let (_, taken, wasted) = self.choose(&self.holes, pod_request, 0, choice)?;
            return Some(Cost::of(policy, wasted, self.free.minus(taken)));
        }
        let mut holes = Holes::from_slice(&self.holes);
        let (mut all_wasted, mut all_taken) = (Bytes::ZERO, Bytes::ZERO);
        for index in 0..pod_request.requests().len() {
            let (hole, taken, wasted) = self.choose(&holes, pod_request, index, choice)?;
            holes[hole] = holes[hole].minus(taken);
            all_wasted = all_wasted.plus(wasted);
            all_taken = all_taken.plus(taken);
        }
        Some(Cost::of(policy, all_wasted, self.free.minus(all_taken)))
    }

    /// The hole that a request goes into, what it takes of it, and what that wastes: see [`Rooms::choose`].
    fn choose(
        &self,
        holes: &[Bytes],
        pod_request: &mut PodRequest,
        index: usize,
        choice: NumaWish,
    ) -> Option<(usize, Bytes, Bytes)> {
        let mut best: Option<(Bytes, usize, Bytes, &RegionGlance)> = None;
        let mut start = 0;
        for region in &self.regions {
            let here = start..region.holes_end;
            start = region.holes_end;
            let Some(takes) = region.takes_settled(pod_request, index, choice) else {
                continue;
            };
            let Some(hole) = here.into_iter().find(|hole| holes[*hole] >= takes) else {
                continue;
            };
            let left = holes[hole].minus(takes);
            if best.is_none_or(|(least, ..)| left < least) {
                best = Some((left, hole, takes, region));
            }
        }
        let (left, hole, takes, region) = best?;
        Some((hole, takes, left.plus(region.surcharge)))
    }

    /// Looks at all of it, and at nothing else: a number without a meaning.
    pub(crate) fn look(&self) -> i64 {
        let region = self.regions.first().map_or(0, |region| region.largest.get());
        let hole = self.holes.first().map_or(0, |hole| hole.get());
        let promised = self.promised.as_ref().map_or(0, |promised| promised.total.get());
        region ^ hole ^ promised ^ self.free.get()
    }
}

impl RegionGlance {
    /// What one of the wants takes here, none if it cannot be here.
    fn takes(&self, pod_request: &mut PodRequest, index: usize) -> Option<Bytes> {
        self.takes_settled(pod_request, index, NumaWish::Any)
    }

    /// The same if `together` comes to `choice`.
    fn takes_settled(&self, pod_request: &mut PodRequest, index: usize, choice: NumaWish) -> Option<Bytes> {
        let wish = pod_request.requests()[index].settled(choice).numa;
        pod_request.takes(self.alignment)[index].filter(|_| wish.allows(self.numa))
    }
}
