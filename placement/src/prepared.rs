//! Nodes prepared for many questions, so that thousands of them answer within a millisecond.
//!
//! The answers are those of [`Node`]; only the work that does not depend on the question is done beforehand.

use std::sync::{Arc, OnceLock};

use crate::refusal::{asked, space_text};
use crate::{Alignment, Bytes, MapLocation, Mode, Node, NumaNode, NumaWish, Policy, Reason, Region, Want};

/// The wants of one pod, prepared to be asked of many nodes.
#[derive(Clone, Debug)]
pub struct Ask {
    wants: Vec<Want>,
    /// "asked 28 MiB", for each want.
    each: Vec<Arc<str>>,
    /// "asked 28 MiB + 14 MiB".
    together: Arc<str>,
    /// For each alignment met so far, the footprint of each want; none where there is no such namespace.
    footprints: Vec<(Alignment, Vec<Option<Bytes>>)>,
}

impl Ask {
    /// Asks for all of `wants` together.
    #[must_use]
    pub fn new(wants: Vec<Want>) -> Self {
        let required: Vec<Bytes> = wants.iter().map(|want| want.required).collect();
        Self {
            each: required.iter().map(|bytes| asked(&[*bytes])).collect(),
            together: asked(&required),
            footprints: Vec::new(),
            wants,
        }
    }

    /// What is asked for.
    #[must_use]
    pub fn wants(&self) -> &[Want] {
        &self.wants
    }

    /// The footprint of one of the wants; none where there is no such namespace.
    pub(crate) fn footprint(&mut self, alignment: Alignment, index: usize) -> Option<Bytes> {
        self.footprints(alignment)[index]
    }

    fn footprints(&mut self, alignment: Alignment) -> &[Option<Bytes>] {
        let known = self.footprints.iter().position(|(of, _)| *of == alignment);
        let index = known.unwrap_or_else(|| {
            let footprint = |want: &Want| want.mode.footprint(alignment, want.required, want.limit).ok();
            let all = self.wants.iter().map(footprint).collect();
            self.footprints.push((alignment, all));
            self.footprints.len() - 1
        });
        &self.footprints[index].1
    }
}

/// A node whose holes are already rounded to what the kernel can use of them.
#[derive(Debug)]
pub struct Prepared {
    node: Node,
    regions: Vec<Holes>,
    free: Bytes,
    /// What a refusal says about the space, for each [`Mode`] without a NUMA wish; made when first needed.
    space_texts: [OnceLock<Arc<str>>; 3],
}

#[derive(Debug)]
struct Holes {
    numa: Option<NumaNode>,
    alignment: Alignment,
    /// The whole size and the usable part of each free extent, in the order in which the kernel looks at them.
    sizes: Vec<(Bytes, Bytes)>,
    largest: Bytes,
}

/// Whether one claim fits alone.
enum Alone {
    Fits,
    NoSpace,
    /// For a reason that does not depend on the free space.
    Never,
}

impl From<Node> for Prepared {
    fn from(node: Node) -> Self {
        let extents = || node.regions.iter().flat_map(|region| &region.free);
        Self {
            regions: node.regions.iter().map(Holes::of).collect(),
            free: extents().map(|extent| extent.size).sum(),
            space_texts: Default::default(),
            node,
        }
    }
}

impl Prepared {
    /// The node itself.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Whether all wants fit, in whatever order they come to be created: the answer of [`Node::fits`].
    ///
    /// # Errors
    /// The text of the refusal of [`Node::fits`].
    pub fn fits(&self, ask: &mut Ask) -> Result<(), Reason> {
        for index in 0..ask.wants.len() {
            let want = ask.wants[index];
            match self.alone(ask, index) {
                Alone::Fits => {}
                Alone::NoSpace => return Err(Reason::new(ask.each[index].clone(), self.space_text(&want))),
                Alone::Never => return self.node.fits(&[want]).map_err(Reason::from),
            }
        }
        if ask.wants.len() < 2 || self.has_room_for_all(ask) || self.node.fits(&ask.wants).is_ok() {
            return Ok(());
        }
        let anywhere = Want {
            numa: NumaWish::Any,
            ..ask.wants[0]
        };
        Err(Reason::new(ask.together.clone(), self.space_text(&anywhere)))
    }

    /// Whether each of the wants fits if it is the only one.
    pub fn fits_each(&self, ask: &mut Ask) -> bool {
        (0..ask.wants.len()).all(|index| matches!(self.alone(ask, index), Alone::Fits))
    }

    /// How bad this node is for these wants, the lower the better; none if they do not fit in the order given.
    #[must_use]
    pub fn cost(&self, policy: Policy, ask: &mut Ask) -> Option<Bytes> {
        match (policy, ask.wants.as_slice()) {
            (Policy::Pack, [want]) => self.left_over(*want, ask),
            (Policy::Pack, _) => self.place_all(&ask.wants).map(|(left_over, _)| left_over),
            (Policy::Spread, _) => self.place_all(&ask.wants).map(|(_, taken)| {
                let free = self.free.minus(taken);
                Bytes::MAX.minus(free)
            }),
        }
    }

    fn alone(&self, ask: &mut Ask, index: usize) -> Alone {
        let wish = ask.wants[index].numa;
        let mut answer = Alone::Never;
        for region in self.regions.iter().filter(|region| wish.allows(region.numa)) {
            match ask.footprints(region.alignment)[index] {
                Some(footprint) if region.largest >= footprint => return Alone::Fits,
                Some(_) => answer = Alone::NoSpace,
                None => answer = Alone::Never,
            }
        }
        answer
    }

    /// Enough, but not necessary, for all wants to fit in every order: each has a hole that would still hold it after
    /// all the others went there. Whatever is placed elsewhere, that hole only ever shrinks from its start.
    fn has_room_for_all(&self, ask: &mut Ask) -> bool {
        let mut safe = vec![false; ask.wants.len()];
        for region in &self.regions {
            let wishes: Vec<bool> = ask.wants.iter().map(|want| want.numa.allows(region.numa)).collect();
            let all = ask.footprints(region.alignment).iter().zip(&wishes);
            let here = || all.clone().map(|(raw, wished)| raw.filter(|_| *wished));
            let step = region.alignment.get();
            let sum: Bytes = here().flatten().map(|raw| raw.round_up(step)).sum();
            for (safe, raw) in safe.iter_mut().zip(here()) {
                *safe |= raw.is_some() && sum <= region.largest;
            }
        }
        safe.into_iter().all(|safe| safe)
    }

    /// [`Node::left_over`] of one want.
    fn left_over(&self, want: Want, ask: &mut Ask) -> Option<Bytes> {
        let wished = self.regions.iter().filter(|region| want.numa.allows(region.numa));
        wished
            .filter_map(|region| region.left_over(ask.footprints(region.alignment)[0]?))
            .min()
    }

    /// What is left over in the holes that the kernel takes for `wants` in this order, and the raw bytes they take.
    fn place_all(&self, wants: &[Want]) -> Option<(Bytes, Bytes)> {
        let mut node = self.node.clone();
        let (mut left_over, mut taken) = (Bytes::ZERO, Bytes::ZERO);
        for want in wants {
            left_over = left_over.plus(node.left_over(want).ok()?);
            taken = taken.plus(node.place(want).ok()?.extent.size);
        }
        Some((left_over, taken))
    }

    fn space_text(&self, want: &Want) -> Arc<str> {
        let make = || {
            let wished = self.node.regions.iter().filter(|region| want.numa.allows(region.numa));
            space_text(&wished.map(|region| region.space(want.mode)).collect::<Vec<_>>())
        };
        match want.numa {
            NumaWish::Any => self.space_texts[index_of(want.mode)].get_or_init(make).clone(),
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

impl Holes {
    fn of(region: &Region) -> Self {
        let step = region.alignment.get();
        let sizes: Vec<(Bytes, Bytes)> = region
            .free
            .iter()
            .map(|hole| (hole.size, hole.aligned(step).size))
            .collect();
        Self {
            numa: region.numa,
            alignment: region.alignment,
            largest: sizes.iter().map(|(_, usable)| *usable).max().unwrap_or_default(),
            sizes,
        }
    }

    fn left_over(&self, footprint: Bytes) -> Option<Bytes> {
        let hole = self.sizes.iter().find(|(_, usable)| *usable >= footprint);
        hole.map(|(whole, _)| whole.minus(footprint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Extent, RegionId};
    use proptest::prelude::*;

    fn regions() -> impl Strategy<Value = Node> {
        let alignment = prop::sample::select(vec![4_u32, 12, 2048, 16384, 6 * 16384]);
        let hole = (0_u32..40, 1_u32..120);
        let region = (
            prop::option::of(0_u32..3),
            alignment,
            prop::collection::vec(hole, 0..5),
            0_u32..3,
        );
        prop::collection::vec(region, 0..4).prop_map(|regions| Node {
            regions: regions.into_iter().enumerate().map(region_of).collect(),
        })
    }

    type Raw = (Option<u32>, u32, Vec<(u32, u32)>, u32);

    fn region_of((index, (numa, alignment, holes, odd)): (usize, Raw)) -> Region {
        let mut cursor = Bytes::kib(4 * odd);
        let mut free = Vec::new();
        for (gap, size) in holes {
            let start = cursor.plus(Bytes::mib(gap)).plus(Bytes::kib(4));
            free.push(Extent::new(start, Bytes::mib(size)));
            cursor = start.plus(Bytes::mib(size));
        }
        Region {
            id: RegionId(format!("r{index}")),
            numa: numa.map(NumaNode),
            alignment: Alignment::try_from(Bytes::kib(alignment)).unwrap(),
            free,
        }
    }

    fn wants() -> impl Strategy<Value = Vec<Want>> {
        let mode = prop::sample::select(vec![
            Mode::Fsdax(MapLocation::Dev),
            Mode::Fsdax(MapLocation::Mem),
            Mode::Sector,
        ]);
        let numa = prop::option::weighted(0.3, 0_u32..3)
            .prop_map(|numa| numa.map_or(NumaWish::Any, |n| NumaWish::Node(NumaNode(n))));
        let limit = prop::option::weighted(0.2, 0_u32..8);
        let want = (1_u32..100, limit, mode, numa).prop_map(|(mib, more, mode, numa)| Want {
            required: Bytes::mib(mib),
            limit: more.map(|more| Bytes::mib(mib + more)),
            mode,
            numa,
        });
        prop::collection::vec(want, 1..4)
    }

    proptest! {
        #[test]
        fn answers_as_the_node_does(node in regions(), wants in wants()) {
            let prepared = Prepared::from(node.clone());
            let mut ask = Ask::new(wants.clone());
            let expected = node.fits(&wants).map_err(|refusal| refusal.to_string());
            prop_assert_eq!(prepared.fits(&mut ask).map_err(|reason| reason.to_string()), expected);
            let each = wants.iter().all(|want| node.fits(&[*want]).is_ok());
            prop_assert_eq!(prepared.fits_each(&mut ask), each);
        }

        #[test]
        fn left_over_as_the_node_says(node in regions(), wants in wants()) {
            let prepared = Prepared::from(node.clone());
            let cost = prepared.cost(Policy::Pack, &mut Ask::new(wants[..1].to_vec()));
            prop_assert_eq!(cost, node.left_over(&wants[0]).ok());
        }

        #[test]
        fn what_fits_has_a_cost(node in regions(), wants in wants()) {
            let prepared = Prepared::from(node);
            let mut ask = Ask::new(wants);
            if prepared.fits(&mut ask).is_ok() {
                prop_assert!(prepared.cost(Policy::Pack, &mut ask).is_some());
                prop_assert!(prepared.cost(Policy::Spread, &mut ask).is_some());
            }
        }
    }

    #[test]
    fn pack_prefers_the_tight_node_and_spread_the_empty_one() {
        let node = |size: u32| {
            let holes = vec![(0, size)];
            Prepared::from(Node {
                regions: vec![region_of((0, (None, 4, holes, 0)))],
            })
        };
        let (tight, empty) = (node(40), node(120));
        let mut ask = Ask::new(vec![Want {
            required: Bytes::mib(30),
            limit: None,
            mode: Mode::Sector,
            numa: NumaWish::Any,
        }]);
        assert!(tight.cost(Policy::Pack, &mut ask) < empty.cost(Policy::Pack, &mut ask));
        assert!(tight.cost(Policy::Spread, &mut ask) > empty.cost(Policy::Spread, &mut ask));
    }
}
