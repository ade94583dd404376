//! Whether several claims fit in every order of creation.
//!
//! # What is asked
//! The claims of a pod are created one by one, in an order that nobody controls. Each goes where [`Node::place`] puts it
//! at that moment: the kernel takes the lowest hole that is large enough, the driver the region where the least is left
//! over. They *fit* if in each of the n! orders each of them finds a hole.
//!
//! # What is done
//! A search for an order that fails, over the states that some order can reach. A state is what is left of each hole and
//! how many claims of each kind are still to come; claims are of one kind if they take the same in each region. Three
//! things keep it small, and none of them changes the answer:
//!
//! 1. *Safe states are not entered.* A claim that takes `t` has no hole left only if each hole of `u ≥ t` bytes that it
//!    may use has lost more than `u − t` of them to the others. If all the others together take less than the sum of
//!    that over its holes, then it fits after any of them in any order. A state where this holds of all kinds is safe.
//! 2. *A state is entered once*, however many orders lead to it. What is left of a hole counts as nothing once it is too
//!    small for all that are still to come: it cannot be chosen any more.
//! 3. *The likely failures are tried first*: largest first, smallest first, and each kind last.
//!
//! After some steps, each of which creates one claim, the search gives up, and the answer is [`Joint::Unknown`]: whoever
//! asks must treat it as "does not fit", which is the safe side. [`Joint::Fits`] and [`Joint::Fails`] are always exact.
//! For one node that is [`STEPS_PER_NODE`]. A [`PodRequest`](crate::PodRequest) of many nodes has [`STEPS_PER_ASK`] for all of them, so
//! that no pod holds up the scheduler for long.
//!
//! # What is not promised
//! More free space can hurt: holes of 4 | 3, 3 MiB in two regions hold claims of 4, 3 and 3 in every order, but with 4 | 4, 3
//! both small claims may take the holes of 4. So the answer is not monotone in the free space; it is in the claims: what
//! fits together fits in part.
//!
//! [`Node::place`]: crate::Node::place

use std::collections::HashSet;
use std::iter::once_with;

use smallvec::{SmallVec, smallvec};

use crate::Bytes;
use crate::rooms::{Rooms, Takes};

#[cfg(test)]
mod tests;

/// Steps after which a search gives up: enough for any six claims (1,956 at most), and for most pods with eight on a node
/// that is nearly full, in a few milliseconds.
pub(crate) const STEPS_PER_NODE: usize = 8192;
/// The same for an ask of many nodes: below a second.
pub(crate) const STEPS_PER_ASK: usize = 1 << 20;

/// Whether several claims fit in every order of creation.
///
/// [`Fits`](Self::Fits) and [`Fails`](Self::Fails) are exact. Up to six claims the answer is never
/// [`Unknown`](Self::Unknown). What fits together fits in part; but more free space can turn a fit into a failure, because
/// it can lead a claim away from the hole where it would have been out of the way. The head of `joint.rs` has the proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joint {
    /// They do.
    Fits,
    /// Created in this order, given as indices into the claims, the last one finds no space.
    Fails(Vec<usize>),
    /// There are too many different orders to tell. They may fit or not.
    Unknown,
}

/// Kinds in the order in which claims of them are created.
type Order = SmallVec<[usize; 8]>;

/// Claims that take the same in each region.
struct RefusalKind {
    takes: Takes,
    /// The claims, by their index.
    members: SmallVec<[usize; 4]>,
}

/// Whether claims that take `claims` fit into `rooms` in every order. What the search takes goes off `steps`: with none
/// of them, only what is safe fits, and all else is unknown.
pub(crate) fn in_every_order(rooms: &Rooms, claims: Vec<Takes>, steps: &mut usize) -> Joint {
    let kinds = kinds(claims);
    let start = State::before_any_of(&kinds, rooms);
    let search = &mut Search::new(rooms, &kinds, steps);
    if search.is_safe(&start) {
        return Joint::Fits;
    }
    if *search.steps == 0 {
        return Joint::Unknown;
    }
    let mut likely = search.likely_orders();
    let failing = likely.find_map(|order| search.failing_prefix(&start, &order));
    drop(likely);
    match failing {
        Some(order) => Joint::Fails(named(&kinds, &order)),
        None => search.run(start),
    }
}

/// As long as others than `claims` take less than this, each of `claims` finds a hole, whoever comes first.
pub(crate) fn spare(rooms: &Rooms, claims: Vec<Takes>) -> Bytes {
    let kinds = kinds(claims);
    let start = State::before_any_of(&kinds, rooms);
    let spare = Search::new(rooms, &kinds, &mut 0).spare(&start);
    spare.unwrap_or(Bytes::MAX)
}

/// Sorted, largest first, so that the search meets failures early.
fn kinds(claims: Vec<Takes>) -> Vec<RefusalKind> {
    let mut kinds: Vec<RefusalKind> = Vec::new();
    for (index, takes) in claims.into_iter().enumerate() {
        match kinds.iter_mut().find(|kind| kind.takes == takes) {
            Some(kind) => kind.members.push(index),
            None => kinds.push(RefusalKind {
                takes,
                members: smallvec![index],
            }),
        }
    }
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.takes.iter().flatten().max().copied()));
    kinds
}

/// The claims behind a list of kinds.
fn named(kinds: &[RefusalKind], order: &[usize]) -> Vec<usize> {
    let mut used = vec![0; kinds.len()];
    let claim = |kind: &usize| {
        let member = kinds[*kind].members[used[*kind]];
        used[*kind] += 1;
        member
    };
    order.iter().map(claim).collect()
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    /// Usable bytes left of each hole.
    free: SmallVec<[Bytes; 16]>,
    /// Claims of each kind that are still to come.
    left: SmallVec<[usize; 4]>,
}

impl State {
    fn before_any_of(kinds: &[RefusalKind], rooms: &Rooms) -> Self {
        Self {
            free: SmallVec::from_slice(&rooms.free),
            left: kinds.iter().map(|kind| kind.members.len()).collect(),
        }
    }
}

struct Search<'a> {
    rooms: &'a Rooms,
    kinds: &'a [RefusalKind],
    seen: HashSet<State>,
    steps: &'a mut usize,
    /// The kinds created on the way to where the search is.
    path: Vec<usize>,
}

/// Why a search ends early.
enum Stop {
    /// The path fails.
    Failing,
    /// Too many steps.
    Enough,
}

impl<'a> Search<'a> {
    fn new(rooms: &'a Rooms, kinds: &'a [RefusalKind], steps: &'a mut usize) -> Self {
        Self {
            rooms,
            kinds,
            seen: HashSet::new(),
            steps,
            path: Vec::new(),
        }
    }

    fn run(&mut self, start: State) -> Joint {
        match self.visit(start) {
            Ok(()) => Joint::Fits,
            Err(Stop::Failing) => Joint::Fails(named(self.kinds, &self.path)),
            Err(Stop::Enough) => Joint::Unknown,
        }
    }

    fn visit(&mut self, mut state: State) -> Result<(), Stop> {
        self.forget_useless(&mut state);
        if self.seen.contains(&state) || self.is_safe(&state) {
            return Ok(());
        }
        self.seen.insert(state.clone());
        for kind in 0..self.kinds.len() {
            if state.left[kind] == 0 {
                continue;
            }
            *self.steps = self.steps.checked_sub(1).ok_or(Stop::Enough)?;
            self.path.push(kind);
            let next = self.after(&state, kind).ok_or(Stop::Failing)?;
            self.visit(next)?;
            self.path.pop();
        }
        Ok(())
    }

    /// The state once a claim of `kind` is created; none if it does not fit.
    fn after(&self, state: &State, kind: usize) -> Option<State> {
        let (hole, left) = self.rooms.choose(&state.free, &self.kinds[kind].takes)?;
        let mut next = state.clone();
        next.free[hole] = left;
        next.left[kind] -= 1;
        Some(next)
    }

    /// What is left of a hole counts as nothing once it is too small for all that are still to come.
    fn forget_useless(&self, state: &mut State) {
        for (index, region) in self.rooms.regions.iter().enumerate() {
            let to_come = self.to_come(state).filter_map(|kind| kind.takes[index]);
            let least = to_come.min().unwrap_or(Bytes::MAX);
            for hole in &mut state.free[region.holes.clone()] {
                if *hole < least {
                    *hole = Bytes::ZERO;
                }
            }
        }
    }

    fn to_come<'s>(&'s self, state: &'s State) -> impl Iterator<Item = &'s RefusalKind> {
        let kinds = self.kinds.iter().zip(&state.left);
        kinds.filter(|(_, left)| **left > 0).map(|(kind, _)| kind)
    }

    /// Enough, but not necessary, for all that is to come to fit in every order: see the head of this file.
    fn is_safe(&self, state: &State) -> bool {
        self.spare(state).is_none_or(|spare| spare > Bytes::ZERO)
    }

    /// What the kind that is shut out first has to spare after all the others; none if nothing is to come.
    fn spare(&self, state: &State) -> Option<Bytes> {
        let to_come = (0..self.kinds.len()).filter(|kind| state.left[*kind] > 0);
        to_come
            .map(|kind| self.needed_to_shut_out(state, kind).minus(self.others(state, kind)))
            .min()
    }

    /// The most that all that is to come, but for one claim of `kind`, takes in the regions where that may be.
    fn others(&self, state: &State, kind: usize) -> Bytes {
        let here = &self.kinds[kind].takes;
        let taken = |other: &RefusalKind| {
            let shared = other.takes.iter().zip(here).filter(|(_, here)| here.is_some());
            shared.filter_map(|(takes, _)| *takes).max().unwrap_or_default()
        };
        let others = self.kinds.iter().zip(&state.left).enumerate();
        others
            .map(|(other, (of, left))| taken(of).times(count(left - usize::from(other == kind))))
            .sum()
    }

    /// The least that has to be taken from its holes so that none is left for a claim of `kind`; nothing if there is
    /// none now.
    fn needed_to_shut_out(&self, state: &State, kind: usize) -> Bytes {
        let regions = self.rooms.regions.iter().zip(&self.kinds[kind].takes);
        regions
            .filter_map(|(region, takes)| {
                let takes = (*takes)?;
                let holes = state.free[region.holes.clone()].iter().filter(|hole| **hole >= takes);
                Some(holes.map(|hole| hole.minus(takes).plus(region.step)).sum::<Bytes>())
            })
            .sum()
    }

    /// Largest first, smallest first, and each kind last after all others.
    fn likely_orders(&self) -> impl Iterator<Item = Order> {
        let kinds = self.kinds.len();
        let largest_first = move || (0..kinds).flat_map(|kind| self.all_of(kind));
        let smallest_first = move || (0..kinds).rev().flat_map(|kind| self.all_of(kind));
        let one_last = move |last: usize| -> Order {
            let others = largest_first().filter(move |kind| *kind != last);
            others.chain(self.all_of(last)).collect()
        };
        let ends = once_with(move || largest_first().collect()).chain(once_with(move || smallest_first().collect()));
        ends.chain((0..kinds).map(one_last))
    }

    fn all_of(&self, kind: usize) -> impl Iterator<Item = usize> + use<> {
        std::iter::repeat_n(kind, self.kinds[kind].members.len())
    }

    /// The start of `order` up to the claim that does not fit; none if all fit.
    fn failing_prefix(&self, start: &State, order: &[usize]) -> Option<Vec<usize>> {
        let mut free = start.free.clone();
        for (created, kind) in order.iter().enumerate() {
            match self.rooms.choose(&free, &self.kinds[*kind].takes) {
                Some((hole, left)) => free[hole] = left,
                None => return Some(order[..=created].to_vec()),
            }
        }
        None
    }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
