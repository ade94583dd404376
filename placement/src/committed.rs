//! Space that is promised but not taken yet: what else fits beside it, in whatever order all of it comes to be taken.

use crate::{Ask, Bytes, Node, Pending, Region, Want};

/// Up to this many claims all orders are tried; each order is a path in a tree that grows with their factorial.
const TRIED: usize = 5;

/// A node and the claims that were promised space on it, in no particular order.
///
/// Whether one more claim fits is answered by counting: a claim of footprint `f` finds no hole only if every hole of at
/// least `f` bytes lost more than it had to spare, and all that the others can take is the sum of their footprints. So
/// it fits, wherever the others go and whoever comes first, if `Σ (hole − f + alignment) > Σ footprints of the others`.
/// Taking space never makes this false for those that remain: a hole gives up at least as much of the right side as
/// of the left. Few claims that are refused by counting are tried in every order instead.
#[derive(Debug, Default)]
pub struct Committed {
    node: Node,
    /// The usable part of each free extent, region by region.
    holes: Vec<Vec<Bytes>>,
    claims: Vec<Pending>,
    takes: Vec<Takes>,
    /// What all of them take at most.
    total: Bytes,
    /// What others may take before one of them may find no hole: less than this.
    spare: Bytes,
}

/// What one claim takes of each region, in the order of the node's regions; none where it cannot go.
type Takes = Vec<Option<Bytes>>;

impl Committed {
    /// Promises each of `claims` space on `node`. Those that do not fit even alone are promised nothing: the node will
    /// refuse them.
    #[must_use]
    pub fn new(node: Node, claims: impl IntoIterator<Item = Pending>) -> Self {
        let mut committed = Self {
            holes: node.regions.iter().map(usable_holes).collect(),
            node,
            ..Self::default()
        };
        for claim in claims {
            let takes = takes(&committed.node, &claim);
            if committed.reach(&takes) > Bytes::ZERO {
                committed.total = committed.total.plus(most(&takes));
                committed.takes.push(takes);
                committed.claims.push(claim);
            }
        }
        let spares = (0..committed.takes.len()).map(|index| committed.spare_of(index));
        committed.spare = spares.min().unwrap_or(Bytes::MAX);
        committed
    }

    /// Whether nothing is promised.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }

    /// Whether all that is promised fits together with what is asked for, in whatever order the volumes are created.
    ///
    /// It never says yes where there is an order in which one of them fails. It may say no where there is none, if there
    /// are more than a few of them and hardly any space besides.
    pub fn leaves_room_for(&self, ask: &mut Ask) -> bool {
        self.is_far_from_full(ask) || self.counts_up(ask) || self.fits_in_every_order(ask)
    }

    /// Enough, but not necessary, and fast: the largest hole of some region holds everything.
    fn is_far_from_full(&self, ask: &mut Ask) -> bool {
        let asked: Bytes = (0..ask.wants().len()).map(|index| self.most_of(ask, index)).sum();
        asked < self.spare
            && (0..ask.wants().len()).all(|index| {
                let wish = ask.wants()[index].numa;
                let mut regions = self.node.regions.iter().zip(&self.holes);
                regions.any(|(region, holes)| {
                    let largest = holes.iter().max().copied().unwrap_or_default();
                    let fits = ask.footprint(region.alignment, index).is_some_and(|raw| raw <= largest);
                    fits && wish.allows(region.numa) && largest >= self.total.plus(asked)
                })
            })
    }

    /// What a want takes at most, wherever it goes.
    fn most_of(&self, ask: &mut Ask, index: usize) -> Bytes {
        let regions = self.node.regions.iter();
        let each = regions.filter_map(|region| {
            let raw = ask.footprint(region.alignment, index)?;
            Some(raw.round_up(region.alignment.get()))
        });
        each.max().unwrap_or_default()
    }

    /// The rule of counting, for all that is promised and asked.
    fn counts_up(&self, ask: &Ask) -> bool {
        let mut all: Vec<Takes> = self.takes.clone();
        all.extend(ask.wants().iter().map(|want| takes(&self.node, &anywhere(*want))));
        (0..all.len()).all(|index| self.reach(&all[index]) > taken_by_others(&all, index))
    }

    fn fits_in_every_order(&self, ask: &Ask) -> bool {
        let settled = self.claims.iter().any(|claim| claim.region.is_some());
        if settled || self.claims.len() + ask.wants().len() > TRIED {
            return false;
        }
        let promised = self.claims.iter().map(|claim| claim.want);
        let all: Vec<Want> = promised.chain(ask.wants().iter().copied()).collect();
        self.node.fits(&all).is_ok()
    }

    /// How much has to be taken out of the holes before none is left for one that takes this.
    fn reach(&self, takes: &Takes) -> Bytes {
        let regions = self.node.regions.iter().zip(&self.holes).zip(takes);
        let reach_in = |((region, holes), raw): ((&Region, &Vec<Bytes>), &Option<Bytes>)| -> Bytes {
            let Some(raw) = *raw else { return Bytes::ZERO };
            let large = holes.iter().filter(|hole| **hole >= raw);
            large.map(|hole| hole.minus(raw).plus(region.alignment.get())).sum()
        };
        regions.map(reach_in).sum()
    }

    fn spare_of(&self, index: usize) -> Bytes {
        self.reach(&self.takes[index])
            .minus(taken_by_others(&self.takes, index))
    }
}

fn usable_holes(region: &Region) -> Vec<Bytes> {
    let step = region.alignment.get();
    region.free.iter().map(|hole| hole.aligned(step).size).collect()
}

fn anywhere(want: Want) -> Pending {
    Pending { want, region: None }
}

fn takes(node: &Node, claim: &Pending) -> Takes {
    let goes_to = |region: &&Region| match &claim.region {
        Some(chosen) => region.id == *chosen,
        None => claim.want.numa.allows(region.numa),
    };
    let want = &claim.want;
    let take = |region: &Region| {
        let raw = want.mode.footprint(region.alignment, want.required, want.limit).ok()?;
        Some(raw.round_up(region.alignment.get()))
    };
    let regions = node.regions.iter();
    regions
        .map(|region| Some(region).filter(goes_to).and_then(take))
        .collect()
}

fn most(takes: &Takes) -> Bytes {
    takes.iter().flatten().max().copied().unwrap_or_default()
}

/// What all but one of them can take out of the regions that this one can go to.
fn taken_by_others(all: &[Takes], index: usize) -> Bytes {
    let of_common_regions = |other: &Takes| -> Bytes {
        let both = all[index].iter().zip(other).filter(|(own, _)| own.is_some());
        both.filter_map(|(_, taken)| *taken).max().unwrap_or_default()
    };
    let others = all.iter().enumerate().filter(|(other, _)| *other != index);
    others.map(|(_, takes)| of_common_regions(takes)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Alignment, Extent, MapLocation, Mode, NumaNode, NumaWish, RegionId};
    use proptest::prelude::*;

    fn node(regions: &[Vec<(u32, u32)>]) -> Node {
        let extent = |(at, size): &(u32, u32)| Extent::new(Bytes::mib(*at), Bytes::mib(*size));
        let region = |(i, free): (usize, &Vec<(u32, u32)>)| Region {
            id: RegionId(format!("r{i}")),
            numa: Some(NumaNode(u32::try_from(i).unwrap())),
            alignment: Alignment::try_from(Bytes::mib(2)).unwrap(),
            free: free.iter().map(extent).collect(),
        };
        Node {
            regions: regions.iter().enumerate().map(region).collect(),
        }
    }

    /// With the map in memory, the footprint is 2 MiB more.
    fn want(mib: u32) -> Want {
        Want {
            required: Bytes::mib(mib),
            limit: None,
            mode: Mode::Fsdax(MapLocation::Mem),
            numa: NumaWish::Any,
        }
    }

    fn committed(node: &Node, claims: &[Want]) -> Committed {
        Committed::new(node.clone(), claims.iter().copied().map(anywhere))
    }

    #[test]
    fn what_is_promised_is_not_promised_again() {
        let node = node(&[vec![(0, 64)]]);
        let committed = committed(&node, &[want(30)]);
        assert!(committed.leaves_room_for(&mut Ask::new(vec![want(30)])));
        assert!(!committed.leaves_room_for(&mut Ask::new(vec![want(31)])));
        assert!(!committed.leaves_room_for(&mut Ask::new(vec![want(14), want(18)])));
    }

    #[test]
    fn orders_count_between_pods_as_within_one() {
        // If 30 comes first it takes the lower hole, and 62 has none left.
        let node = node(&[vec![(0, 64), (128, 32)]]);
        assert!(!committed(&node, &[want(62)]).leaves_room_for(&mut Ask::new(vec![want(30)])));
        assert!(!committed(&node, &[want(30)]).leaves_room_for(&mut Ask::new(vec![want(62)])));
    }

    #[test]
    fn what_cannot_be_placed_is_promised_nothing() {
        let node = node(&[vec![(0, 64)]]);
        let committed = committed(&node, &[want(500)]);
        assert!(committed.is_empty());
        assert!(committed.leaves_room_for(&mut Ask::new(vec![want(62)])));
    }

    #[test]
    fn claims_for_other_numa_nodes_do_not_matter() {
        let node = node(&[vec![(0, 64)], vec![(0, 64)]]);
        let on = |numa, mib| Want {
            numa: NumaWish::Node(NumaNode(numa)),
            ..want(mib)
        };
        let committed = committed(&node, &[on(0, 60)]);
        assert!(committed.leaves_room_for(&mut Ask::new(vec![on(1, 60)])));
        assert!(!committed.leaves_room_for(&mut Ask::new(vec![on(0, 60)])));
    }

    #[test]
    fn many_claims_are_counted_and_not_tried() {
        let node = node(&[vec![(0, 512)], vec![(0, 512)]]);
        let many: Vec<Want> = (0..40).map(|i| want(10 + i % 7)).collect();
        assert!(committed(&node, &many).leaves_room_for(&mut Ask::new(vec![want(100), want(40)])));
    }

    proptest! {
        /// Whatever it says yes to can be created in any order, with anything else that it said yes to.
        #[test]
        fn never_promises_what_may_fail(
            holes in prop::collection::vec(prop::collection::vec((0_u32..16, 1_u32..60), 0..4), 1..3),
            asked in prop::collection::vec((1_u32..60, prop::option::weighted(0.2, 0_u32..2)), 1..9),
            order in any::<prop::sample::Index>(),
            shuffle in prop::collection::vec(any::<u32>(), 9),
        ) {
            let regions: Vec<Vec<(u32, u32)>> = holes.iter().map(|holes| apart(holes)).collect();
            let node = node(&regions);
            let mut promised: Vec<Want> = Vec::new();
            for (mib, numa) in asked {
                let numa = numa.map_or(NumaWish::Any, |numa| NumaWish::Node(NumaNode(numa)));
                let ask = Want { numa, ..want(mib) };
                let alone = node.fits(&[ask]).is_ok();
                if alone && committed(&node, &promised).leaves_room_for(&mut Ask::new(vec![ask])) {
                    promised.push(ask);
                }
            }
            let mut keyed: Vec<(u32, Want)> = shuffle.into_iter().zip(promised).collect();
            keyed.sort_unstable();
            if !keyed.is_empty() {
                let turn = order.index(keyed.len());
                keyed.rotate_left(turn);
            }
            let mut after = node;
            for (_, want) in keyed {
                prop_assert!(after.place(&want).is_ok(), "{want:?} in {after:?}");
            }
        }
    }

    fn apart(holes: &[(u32, u32)]) -> Vec<(u32, u32)> {
        let mut cursor = 0;
        let place = |(gap, size): &(u32, u32)| {
            let start = cursor + gap + 1;
            cursor = start + size;
            (start, *size)
        };
        holes.iter().map(place).collect()
    }
}
