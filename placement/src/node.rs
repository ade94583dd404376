//! All regions of a node: which one a claim goes to, and whether all claims of a pod fit.

use crate::joint::{STEPS_PER_NODE, in_every_order};
use crate::rooms::Rooms;
use crate::{Bytes, Extent, Joint, NumaNode, NumaWish, Refusal, Region, RegionId, Space, VolumeRequest};

/// The ready regions of a node with their free space.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Node {
    /// In the order in which the node lists them.
    pub regions: Vec<Region>,
}

/// Where a claim goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The chosen region.
    pub region: RegionId,
    /// The bytes of it that the kernel will take.
    pub extent: Extent,
    /// What they offer in the mode of the claim.
    pub usable: Bytes,
}

impl Node {
    /// Takes the space for `want` and says where it is: best fit by the hole that the kernel will take in each region,
    /// then the first region.
    ///
    /// # Errors
    /// Says why it fits nowhere; the node is unchanged then.
    pub fn place(&mut self, request: &VolumeRequest) -> Result<Placed, Refusal> {
        let (best, _) = self.best_region(request)?;
        let region = &mut self.regions[best];
        let extent = region.place(request)?;
        Ok(Placed {
            region: region.id.clone(),
            extent,
            usable: request.mode.usable(extent.size),
        })
    }

    /// What the kernel could still use of the hole that it takes for `want`: the smaller, the better the fit.
    ///
    /// # Errors
    /// Says why it fits nowhere.
    pub fn left_over(&self, request: &VolumeRequest) -> Result<Bytes, Refusal> {
        self.best_region(request).map(|(_, left_over)| left_over)
    }

    /// Whether all `wants` of a pod fit, in whatever order they come to be created, with those that want to be
    /// [`Together`](NumaWish::Together) on one NUMA node.
    ///
    /// # Errors
    /// The first refusal met: of one claim alone, or of all of them together.
    pub fn fits(&self, requests: &[VolumeRequest]) -> Result<(), Refusal> {
        self.settle(requests).map(|_| ())
    }

    /// The same `wants` with `together` replaced by the NUMA node that it comes to here. Created with these wishes, they
    /// fit in every order. Of several NUMA nodes where that is so, it is the one where the least is left over.
    ///
    /// # Errors
    /// The first refusal met: of one claim alone, or of all of them together.
    pub fn settle(&self, requests: &[VolumeRequest]) -> Result<Vec<VolumeRequest>, Refusal> {
        for request in requests {
            self.best_region(request)?;
        }
        let settled = |choice| requests.iter().map(|request| request.settled(choice)).collect();
        let choices: Vec<Vec<VolumeRequest>> = self.choices(requests).into_iter().map(settled).collect();
        let answers: Vec<Joint> = choices.iter().map(|requests| self.joint(requests)).collect();
        let fitting = choices.into_iter().zip(&answers);
        let fitting = fitting.filter(|(_, answer)| **answer == Joint::Fits);
        let best = fitting.min_by_key(|(requests, _)| self.left_over_of_all(requests));
        best.map(|(requests, _)| requests).ok_or_else(|| Refusal::NotTogether {
            required: requests.iter().map(|request| request.required).collect(),
            on_one_numa_node: on_one_numa_node(requests),
            space: self.spaces(|_| true, requests),
            tried_all: !answers.contains(&Joint::Unknown),
        })
    }

    /// Whether all `wants` fit in every order of creation, and if not, an order in which they fail.
    ///
    /// [`Together`](NumaWish::Together) is no more than [`Any`](NumaWish::Any) here: settle it first.
    #[must_use]
    pub fn joint(&self, requests: &[VolumeRequest]) -> Joint {
        let rooms = Rooms::of(self);
        let takes = requests.iter().map(|request| Rooms::takes(self, request)).collect();
        let mut steps = STEPS_PER_NODE;
        in_every_order(&rooms, takes, &mut steps)
    }

    /// The usable bytes of the largest namespace that one claim can get on `numa`.
    #[must_use]
    pub fn largest_usable(&self, mode: crate::Mode, numa: Option<NumaNode>) -> Bytes {
        let here = self.regions.iter().filter(|region| region.numa == numa);
        here.map(|region| region.largest_usable(mode)).max().unwrap_or_default()
    }

    /// What is left over of all holes that are taken for `wants` in this order; the most there is if they do not fit.
    fn left_over_of_all(&self, requests: &[VolumeRequest]) -> Bytes {
        let mut node = self.clone();
        let left_over = |request: &VolumeRequest| {
            let left_over = node.left_over(request).ok()?;
            node.place(request).ok().map(|_| left_over)
        };
        requests
            .iter()
            .map(left_over)
            .sum::<Option<Bytes>>()
            .unwrap_or(Bytes::MAX)
    }

    /// The region that `want` goes to, and what is left over of the hole there.
    fn best_region(&self, request: &VolumeRequest) -> Result<(usize, Bytes), Refusal> {
        let rooms = Rooms::of(self);
        let Some((hole, left)) = rooms.choose(&rooms.free, &Rooms::takes(self, request)) else {
            return Err(self.refusal(request));
        };
        Ok((rooms.region_of(hole), left))
    }

    /// Why `want` fits nowhere, if it does not.
    pub(crate) fn refusal(&self, request: &VolumeRequest) -> Refusal {
        let wished = |region: &Region| request.numa.allows(region.numa);
        let footprint = |region: &Region| {
            request
                .mode
                .footprint(region.alignment, request.required, request.limit)
        };
        let footprints: Vec<_> = self
            .regions
            .iter()
            .filter(|region| wished(region))
            .map(footprint)
            .collect();
        if footprints.iter().any(Result::is_ok) {
            return Refusal::NoSpace {
                required: request.required,
                space: self.spaces(wished, std::slice::from_ref(request)),
            };
        }
        footprints
            .into_iter()
            .find_map(Result::err)
            .unwrap_or(Refusal::NoRegion {
                required: request.required,
                numa: numa_of(request.numa),
            })
    }

    /// The space of the regions that `wished` says, in the mode of the first of `wants`.
    pub(crate) fn spaces(&self, wished: impl Fn(&Region) -> bool, requests: &[VolumeRequest]) -> Vec<Space> {
        let Some(first) = requests.first() else {
            return Vec::new();
        };
        let wished = self.regions.iter().filter(|region| wished(region));
        wished.map(|region| region.space(first.mode)).collect()
    }
}

/// How many of `wants` have to be on one NUMA node, none if that is no restriction.
pub(crate) fn on_one_numa_node(requests: &[VolumeRequest]) -> usize {
    let together = requests
        .iter()
        .filter(|request| request.numa == NumaWish::Together)
        .count();
    if together > 1 { together } else { 0 }
}

fn numa_of(wish: NumaWish) -> Option<NumaNode> {
    match wish {
        NumaWish::Any | NumaWish::Together => None,
        NumaWish::Node(numa) => Some(numa),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Alignment, MapLocation, Mode};

    fn node(regions: &[&[(u32, u32)]]) -> Node {
        let extents = |free: &[(u32, u32)]| {
            free.iter()
                .map(|(at, size)| Extent::new(Bytes::mib(*at), Bytes::mib(*size)))
                .collect()
        };
        let region = |(i, free): (usize, &&[(u32, u32)])| Region {
            id: RegionId(format!("r{i}")),
            numa: Some(NumaNode(u32::try_from(i).unwrap())),
            alignment: Alignment::try_from(Bytes::mib(2)).unwrap(),
            free: extents(free),
        };
        Node {
            regions: regions.iter().enumerate().map(region).collect(),
        }
    }

    fn request(mib: u32) -> VolumeRequest {
        VolumeRequest {
            required: Bytes::mib(mib),
            limit: None,
            mode: Mode::Fsdax(MapLocation::Dev),
            numa: NumaWish::Any,
        }
    }

    #[test]
    fn best_fit_by_the_hole_that_the_kernel_takes() {
        let mut node = node(&[&[(0, 512)], &[(0, 100), (200, 64)]]);
        assert_eq!(node.place(&request(60)).unwrap().region, RegionId("r1".into()));
        assert_eq!(node.place(&request(60)).unwrap().extent.start, Bytes::mib(200));
        assert_eq!(node.place(&request(60)).unwrap().region, RegionId("r0".into()));
    }

    #[test]
    fn left_over_is_of_the_hole_that_is_taken() {
        let node = node(&[&[(0, 512)], &[(0, 100), (200, 64)]]);
        assert_eq!(node.left_over(&request(60)), Ok(Bytes::mib(38)));
        assert_eq!(node.left_over(&request(90)), Ok(Bytes::mib(8)));
        assert!(node.left_over(&request(600)).is_err());
    }

    #[test]
    fn a_numa_wish_is_kept() {
        let mut node = node(&[&[(0, 512)], &[(0, 64)]]);
        let there = VolumeRequest {
            numa: NumaWish::Node(NumaNode(0)),
            ..request(20)
        };
        assert_eq!(node.place(&there).unwrap().region, RegionId("r0".into()));
        let nowhere = VolumeRequest {
            numa: NumaWish::Node(NumaNode(7)),
            ..request(20)
        };
        assert_eq!(
            node.place(&nowhere).unwrap_err().to_string(),
            "asked 20 MiB: no ready region on NUMA 7"
        );
    }

    #[test]
    fn claims_that_fit_alone_may_not_fit_together() {
        let node = node(&[&[(0, 64)], &[(0, 64)]]);
        assert!(node.fits(&[request(62), request(62)]).is_ok());
        let refusal = node.fits(&[request(62), request(30), request(40)]).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "asked 62 MiB + 30 MiB + 40 MiB; largest extent 62 MiB on NUMA 1, 128 MiB free in 2 extents"
        );
    }

    #[test]
    fn an_order_that_fails_refuses() {
        // 30 first takes the lowest hole, and 62 has none left; 62 first leaves the hole of 32 MiB to 30.
        let node = node(&[&[(0, 64), (128, 32)]]);
        assert!(node.fits(&[request(62), request(30)]).is_err());
        let node = self::node(&[&[(0, 32), (128, 64)]]);
        assert!(node.fits(&[request(62), request(30)]).is_ok());
    }

    proptest::proptest! {
        /// No byte is lost: what is placed and what is free are what was free, and nothing overlaps.
        #[test]
        fn no_byte_is_lost(holes in proptest::collection::vec((1_u32..40, 1_u32..120), 1..5), asked in proptest::collection::vec(1_u32..90, 1..8)) {
            let mut cursor = 0;
            let holes: Vec<(u32, u32)> = holes.into_iter().map(|(gap, size)| {
                let start = cursor + gap;
                cursor = start + size;
                (start, size)
            }).collect();
            let before = node(&[&holes, &[(0, 64)]]);
            let mut after = before.clone();
            let placed: Vec<Placed> = asked.iter().filter_map(|mib| after.place(&request(*mib)).ok()).collect();
            for (region, was) in after.regions.iter().zip(&before.regions) {
                let taken = placed.iter().filter(|placed| placed.region == region.id).map(|placed| placed.extent);
                let mut parts: Vec<Extent> = region.free.iter().copied().chain(taken).collect();
                parts.sort_unstable();
                proptest::prop_assert!(parts.windows(2).all(|pair| pair[0].end() <= pair[1].start));
                let sum = |parts: &[Extent]| parts.iter().map(|part| part.size).sum::<Bytes>();
                proptest::prop_assert_eq!(sum(&parts), sum(&was.free));
                proptest::prop_assert!(parts.iter().all(|part| was.free.iter().any(|hole| hole.start <= part.start && part.end() <= hole.end())));
            }
        }
    }
}
