//! What some order of creation can lead to.

use smallvec::SmallVec;

use super::group::Group;
use crate::Bytes;
use crate::holes::Holes;

/// What is left after some claims were created.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    /// Of each hole.
    pub sizes: SmallVec<[Bytes; 16]>,
    /// How many claims of each group are still to come.
    pub to_come: SmallVec<[usize; 4]>,
}

impl State {
    pub fn before_any_of(groups: &[Group], holes: &Holes) -> Self {
        Self {
            sizes: SmallVec::from_slice(holes.sizes()),
            to_come: groups.iter().map(|group| group.claims.len()).collect(),
        }
    }

    /// Once a claim of `group` is created; none if it does not fit.
    pub fn after(&self, holes: &Holes, groups: &[Group], group: usize) -> Option<Self> {
        let footprints = groups[group].footprints;
        let choice = holes.choose(&self.sizes, |region, _| footprints[region])?;
        let mut after = self.clone();
        after.sizes[choice.hole] = choice.left_over;
        after.to_come[group] -= 1;
        Some(after)
    }

    /// What is left of a hole counts as nothing once it is too small for all that are still to come.
    pub fn forget_useless(&mut self, holes: &Holes, groups: &[Group]) {
        for (index, region) in holes.regions().iter().enumerate() {
            let to_come = groups.iter().zip(&self.to_come).filter(|(_, to_come)| **to_come > 0);
            let smallest = to_come.filter_map(|(group, _)| group.footprints[index]).min();
            let smallest = smallest.unwrap_or(Bytes::MAX);
            for size in &mut self.sizes[region.holes.clone()] {
                if *size < smallest {
                    *size = Bytes::ZERO;
                }
            }
        }
    }
}
