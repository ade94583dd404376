//! The rule that settles most questions without a search: see the first point at the head of this folder.

use super::group::Group;
use super::state::State;
use crate::Bytes;
use crate::holes::Holes;

/// Enough, but not necessary, for all that is to come to fit in every order.
pub(super) fn is_safe(holes: &Holes, groups: &[Group], state: &State) -> bool {
    spare(holes, groups, state).is_none_or(|spare| spare > Bytes::ZERO)
}

/// What the group that is shut out first has to spare after all the others; none if nothing is to come.
pub(super) fn spare(holes: &Holes, groups: &[Group], state: &State) -> Option<Bytes> {
    let to_come = (0..groups.len()).filter(|group| state.to_come[*group] > 0);
    let spare = |group| shut_out(holes, &groups[group], state).minus(others(groups, group, state));
    to_come.map(spare).min()
}

/// The least that has to be taken from its holes so that none is left for a claim of `group`; nothing if there is none now.
fn shut_out(holes: &Holes, group: &Group, state: &State) -> Bytes {
    let regions = holes.regions().iter().zip(group.footprints);
    let in_region = regions.filter_map(|(region, footprint)| {
        let footprint = (*footprint)?;
        let large_enough = state.sizes[region.holes.clone()]
            .iter()
            .filter(|size| **size >= footprint);
        let more_than_spare = |size: &Bytes| size.minus(footprint).plus(region.alignment.get());
        Some(large_enough.map(more_than_spare).sum::<Bytes>())
    });
    in_region.sum()
}

/// The most that all that is to come, but for one claim of `group`, takes in the regions where that may be.
fn others(groups: &[Group], group: usize, state: &State) -> Bytes {
    let here = groups[group].footprints;
    let most = |other: &Group| {
        let shared = other.footprints.iter().zip(here).filter(|(_, here)| here.is_some());
        shared.filter_map(|(footprint, _)| *footprint).max().unwrap_or_default()
    };
    let others = groups.iter().zip(&state.to_come).enumerate();
    others
        .map(|(other, (of, to_come))| most(of).times(count(to_come - usize::from(other == group))))
        .sum()
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
