//! Claims that take the same are interchangeable.

use smallvec::{SmallVec, smallvec};

use crate::holes::Footprints;

/// Claims that take the same in each region.
pub(super) struct Group<'a> {
    pub footprints: &'a Footprints,
    /// By their indices.
    pub claims: SmallVec<[usize; 4]>,
}

/// Those that take most come first, so that a search meets failures early.
pub(super) fn groups(claims: &[Footprints]) -> SmallVec<[Group<'_>; 4]> {
    let mut groups: SmallVec<[Group; 4]> = SmallVec::new();
    for (index, footprints) in claims.iter().enumerate() {
        match groups.iter_mut().find(|group| group.footprints == footprints) {
            Some(group) => group.claims.push(index),
            None => groups.push(Group {
                footprints,
                claims: smallvec![index],
            }),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.footprints.iter().flatten().max()));
    groups
}

/// The claims behind a list of groups, in which a group may stand several times.
pub(super) fn claims_of(groups: &[Group], order: &[usize]) -> Vec<usize> {
    let mut used = vec![0; groups.len()];
    let claim = |group: &usize| {
        let claim = groups[*group].claims[used[*group]];
        used[*group] += 1;
        claim
    };
    order.iter().map(claim).collect()
}
