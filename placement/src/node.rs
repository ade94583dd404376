//! All regions of a node: which one a claim goes to, and whether all claims of a pod fit.

use smallvec::SmallVec;

use crate::fits::Misfit;
use crate::holes::{Choice, Footprints, Holes};
use crate::order::{STEPS_PER_NODE, in_every_order};
use crate::request::on_one_numa_node;
use crate::{
    Bytes, Extent, Joint, Mode, NumaNode, NumaWish, PodRequest, Refusal, Region, RegionId, Space, VolumeRequest,
};

/// The regions of a node: the ready ones with their free space.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Node {
    /// The ready ones, in the order in which the node lists them.
    pub regions: Vec<Region>,
    /// The others.
    pub unready: Vec<UnreadyRegion>,
}

/// A region where no volume can be made now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnreadyRegion {
    /// None if the platform does not report it.
    pub numa: Option<NumaNode>,
    /// Why, and what to do, as its node says.
    pub why: String,
}

/// Where a volume goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The chosen region.
    pub region: RegionId,
    /// The bytes of it that the kernel will take.
    pub extent: Extent,
    /// What they offer in the mode that was asked for.
    pub usable: Bytes,
}

impl Node {
    /// Takes the space for `request` and says where it is: in the region where the least is left over of the hole that the
    /// kernel will take, then in the first.
    ///
    /// # Errors
    /// [`Refusal::NoRegion`] if there is no region with this NUMA wish, [`Refusal::NoSpace`] if no hole is large enough, else
    /// as [`Mode::footprint`]. The node is unchanged then.
    pub fn place(&mut self, request: &VolumeRequest) -> Result<Placed, Refusal> {
        let region = self.choose(request)?.region;
        self.place_in(region, request)
    }

    /// The same in the region at this position.
    pub(crate) fn place_in(&mut self, region: usize, request: &VolumeRequest) -> Result<Placed, Refusal> {
        let region = &mut self.regions[region];
        let extent = region.place(request)?;
        Ok(Placed {
            region: region.id.clone(),
            extent,
            usable: request.mode.usable(extent.size),
        })
    }

    /// What the kernel could still use of the hole that it takes for `request`: the smaller, the better the fit.
    ///
    /// # Errors
    /// As [`place`](Self::place).
    pub fn left_over(&self, request: &VolumeRequest) -> Result<Bytes, Refusal> {
        self.choose(request).map(|choice| choice.left_over)
    }

    /// Whether all `requests` of a pod fit, in whatever order their volumes come to be created, with those that wish to be
    /// [`Together`](NumaWish::Together) on one NUMA node.
    ///
    /// # Errors
    /// Of the first request that does not fit alone, as [`place`](Self::place); if there is none,
    /// [`Refusal::NotTogether`].
    pub fn fits(&self, requests: &[VolumeRequest]) -> Result<(), Refusal> {
        let holes = Holes::of(&self.regions);
        let pod_request = &mut PodRequest::new(requests.to_vec());
        let alone = holes.fit_each(pod_request);
        let fits = alone.and_then(|()| holes.fit_in_every_order(pod_request));
        fits.map_err(|misfit| self.refusal(requests, misfit))
    }

    /// The same requests with `together` replaced by the NUMA node that it comes to here. Created with these wishes, they
    /// fit in every order. Of several NUMA nodes where that is so, it is the one where the least is left over.
    ///
    /// # Errors
    /// As [`Node::fits`].
    pub fn settle(&self, requests: &[VolumeRequest]) -> Result<Vec<VolumeRequest>, Refusal> {
        let holes = Holes::of(&self.regions);
        let pod_request = &mut PodRequest::new(requests.to_vec());
        let choice = holes.fit_each(pod_request).and_then(|()| holes.settle(pod_request));
        let choice = choice.map_err(|misfit| self.refusal(requests, misfit))?;
        Ok(requests.iter().map(|request| request.settled(choice)).collect())
    }

    /// Whether all `requests` fit in every order of creation, and if not, an order in which they fail.
    ///
    /// [`Together`](NumaWish::Together) is no more than [`Any`](NumaWish::Any) here: [`settle`](Self::settle) it first.
    #[must_use]
    pub fn joint(&self, requests: &[VolumeRequest]) -> Joint {
        let holes = Holes::of(&self.regions);
        let footprints: SmallVec<[Footprints; 4]> = requests.iter().map(|request| request.footprints(&holes)).collect();
        let mut steps = STEPS_PER_NODE;
        in_every_order(&holes, &footprints, &mut steps)
    }

    /// The usable bytes of the largest namespace that one claim can get on `numa`.
    #[must_use]
    pub fn largest_usable(&self, mode: Mode, numa: Option<NumaNode>) -> Bytes {
        let here = self.regions.iter().filter(|region| region.numa == numa);
        here.map(|region| region.largest_usable(mode)).max().unwrap_or_default()
    }

    fn choose(&self, request: &VolumeRequest) -> Result<Choice, Refusal> {
        let holes = Holes::of(&self.regions);
        let footprints = request.footprints(&holes);
        let choice = holes.choose(holes.sizes(), |region, _| footprints[region]);
        choice.ok_or_else(|| self.refusal_of(request))
    }

    /// The numbers behind a misfit of `requests`.
    pub(crate) fn refusal(&self, requests: &[VolumeRequest], misfit: Misfit) -> Refusal {
        match misfit {
            Misfit::NoSpace(index) | Misfit::Never(index) => self.refusal_of(&requests[index]),
            Misfit::NotTogether { tried_all } => Refusal::NotTogether {
                required: requests.iter().map(|request| request.required).collect(),
                on_one_numa_node: on_one_numa_node(requests),
                space: requests
                    .first()
                    .map_or(Vec::new(), |first| self.spaces(NumaWish::Any, first.mode)),
                tried_all,
            },
        }
    }

    /// Why `request` fits nowhere, which is so.
    fn refusal_of(&self, request: &VolumeRequest) -> Refusal {
        let mut refused = None;
        for region in self.regions.iter().filter(|region| request.numa.allows(region.numa)) {
            match request.footprint(region.alignment) {
                Ok(_) => {
                    return Refusal::NoSpace {
                        required: request.required,
                        space: self.spaces(request.numa, request.mode),
                    };
                }
                Err(refusal) => refused = refused.or(Some(refusal)),
            }
        }
        refused.unwrap_or_else(|| Refusal::NoRegion {
            required: request.required,
            numa: match request.numa {
                NumaWish::Any | NumaWish::Together => None,
                NumaWish::Node(numa) => Some(numa),
            },
            unready: self.unready(request.numa),
        })
    }

    /// Why the regions where a volume with this wish may be are not ready.
    fn unready(&self, wish: NumaWish) -> Vec<String> {
        let allowed = self.unready.iter().filter(|region| wish.allows(region.numa));
        allowed.map(|region| region.why.clone()).collect()
    }

    /// The space of the regions where a volume with this wish may be.
    fn spaces(&self, wish: NumaWish, mode: Mode) -> Vec<Space> {
        let allowed = self.regions.iter().filter(|region| wish.allows(region.numa));
        allowed.map(|region| region.space(mode)).collect()
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
            ..Node::default()
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
    fn regions_that_are_not_ready_say_why() {
        let unready = |numa, why: &str| UnreadyRegion {
            numa: Some(NumaNode(numa)),
            why: why.into(),
        };
        let mut node = node(&[&[(0, 64)]]);
        node.unready = ["its label area is full", "it is disabled"]
            .map(|why| unready(1, why))
            .into();
        node.unready.push(unready(2, "it is read-only"));
        let refused = |numa| {
            let numa = NumaWish::Node(NumaNode(numa));
            let refusal = node.fits(&[VolumeRequest { numa, ..request(20) }]).unwrap_err();
            refusal.to_string()
        };
        assert_eq!(
            refused(1),
            "asked 20 MiB: no ready region on NUMA 1: its label area is full; and 1 more"
        );
        assert_eq!(refused(2), "asked 20 MiB: no ready region on NUMA 2: it is read-only");
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
