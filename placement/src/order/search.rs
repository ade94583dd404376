//! The search for an order that fails.

use std::collections::HashSet;
use std::iter::once_with;

use smallvec::SmallVec;

use super::group::Group;
use super::safe::is_safe;
use super::state::State;
use crate::holes::Holes;

/// Groups in the order in which claims of them are created.
type Order = SmallVec<[usize; 8]>;

pub(super) struct Search<'a> {
    holes: &'a Holes,
    groups: &'a [Group<'a>],
    entered: HashSet<State>,
    steps: &'a mut usize,
    /// The groups created on the way to where the search is.
    path: Order,
}

/// Why a search ends before it has seen all states.
pub(super) enum Stop {
    /// In this order, given as groups, the last claim finds no hole.
    Fails(Order),
    TooManySteps,
}

impl<'a> Search<'a> {
    pub fn new(holes: &'a Holes, groups: &'a [Group<'a>], steps: &'a mut usize) -> Self {
        Self {
            holes,
            groups,
            entered: HashSet::new(),
            steps,
            path: Order::new(),
        }
    }

    pub fn run(mut self, start: State) -> Result<(), Stop> {
        let failing = self.likely_orders().find_map(|order| self.failing_part(&start, &order));
        match failing {
            Some(order) => Err(Stop::Fails(order)),
            None => self.enter(start),
        }
    }

    fn enter(&mut self, mut state: State) -> Result<(), Stop> {
        state.forget_useless(self.holes, self.groups);
        if self.entered.contains(&state) || is_safe(self.holes, self.groups, &state) {
            return Ok(());
        }
        self.entered.insert(state.clone());
        for group in 0..self.groups.len() {
            if state.to_come[group] > 0 {
                self.create(&state, group)?;
            }
        }
        Ok(())
    }

    fn create(&mut self, state: &State, group: usize) -> Result<(), Stop> {
        *self.steps = self.steps.checked_sub(1).ok_or(Stop::TooManySteps)?;
        self.path.push(group);
        match state.after(self.holes, self.groups, group) {
            Some(next) => self.enter(next)?,
            None => return Err(Stop::Fails(self.path.clone())),
        }
        self.path.pop();
        Ok(())
    }

    /// Largest first, smallest first, and each group last after all others.
    fn likely_orders(&self) -> impl Iterator<Item = Order> + use<'a> {
        let (groups, n) = (self.groups, self.groups.len());
        let all_of = move |group: usize| std::iter::repeat_n(group, groups[group].claims.len());
        let largest_first = move || (0..n).flat_map(all_of);
        let smallest_first = move || (0..n).rev().flat_map(all_of);
        let one_last = move |last: usize| -> Order {
            let others = largest_first().filter(move |group| *group != last);
            others.chain(all_of(last)).collect()
        };
        let ends = once_with(move || largest_first().collect()).chain(once_with(move || smallest_first().collect()));
        ends.chain((0..n).map(one_last))
    }

    /// The start of `order` up to the claim that does not fit; none if all fit.
    fn failing_part(&self, start: &State, order: &[usize]) -> Option<Order> {
        let mut sizes = start.sizes.clone();
        for (created, group) in order.iter().enumerate() {
            let footprints = self.groups[*group].footprints;
            match self.holes.choose(&sizes, |region, _| footprints[region]) {
                Some(choice) => sizes[choice.hole] = choice.left_over,
                None => return Some(order[..=created].into()),
            }
        }
        None
    }
}
