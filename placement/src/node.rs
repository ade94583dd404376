//! All regions of a node: which one a claim goes to, and whether all claims of a pod fit.

use std::collections::HashSet;

use crate::{Bytes, Extent, NumaNode, NumaWish, Refusal, Region, RegionId, Space, Want};

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
    pub fn place(&mut self, want: &Want) -> Result<Placed, Refusal> {
        let best = self.best_region(want)?;
        let region = &mut self.regions[best];
        let extent = region.place(want)?;
        Ok(Placed {
            region: region.id.clone(),
            extent,
            usable: want.mode.usable(extent.size),
        })
    }

    /// What would stay free of the hole that the kernel takes for `want`: the smaller, the better the fit.
    ///
    /// # Errors
    /// Says why it fits nowhere.
    pub fn left_over(&self, want: &Want) -> Result<Bytes, Refusal> {
        left_over(&self.regions[self.best_region(want)?], want)
    }

    /// Whether all `wants` of a pod fit, in whatever order they come to be created.
    ///
    /// # Errors
    /// The first refusal met: of one claim alone, or of all of them together.
    pub fn fits(&self, wants: &[Want]) -> Result<(), Refusal> {
        for want in wants {
            self.clone().place(want)?;
        }
        let mut sorted = wants.to_vec();
        sorted.sort_unstable();
        if self.fits_in_every_order(&sorted, &mut HashSet::new()) {
            return Ok(());
        }
        let space = self.spaces(|_| true, &wants[0]);
        Err(Refusal::NotTogether {
            required: wants.iter().map(|want| want.required).collect(),
            space,
        })
    }

    /// The usable bytes of the largest namespace that one claim can get on `numa`.
    #[must_use]
    pub fn largest_usable(&self, mode: crate::Mode, numa: Option<NumaNode>) -> Bytes {
        let here = self.regions.iter().filter(|region| region.numa == numa);
        here.map(|region| region.largest_usable(mode)).max().unwrap_or_default()
    }

    fn fits_in_every_order(&self, wants: &[Want], seen: &mut HashSet<(Node, Vec<Want>)>) -> bool {
        if wants.is_empty() || !seen.insert((self.clone(), wants.to_vec())) {
            return true;
        }
        (0..wants.len())
            .filter(|&i| i == 0 || wants[i] != wants[i - 1])
            .all(|first| {
                let mut node = self.clone();
                let mut rest = wants.to_vec();
                let want = rest.remove(first);
                node.place(&want).is_ok() && node.fits_in_every_order(&rest, seen)
            })
    }

    fn best_region(&self, want: &Want) -> Result<usize, Refusal> {
        let wished = |region: &Region| want.numa.allows(region.numa);
        let mut best: Option<(Bytes, usize)> = None;
        let mut refusal = None;
        for (index, region) in self.regions.iter().enumerate().filter(|(_, region)| wished(region)) {
            match left_over(region, want) {
                Ok(left) if best.is_none_or(|(least, _)| left < least) => {
                    best = Some((left, index));
                }
                Ok(_) => {}
                Err(why) => refusal = Some(why),
            }
        }
        match (best, refusal) {
            (Some((_, index)), _) => Ok(index),
            (None, Some(Refusal::NoSpace { required, .. })) => Err(Refusal::NoSpace {
                required,
                space: self.spaces(wished, want),
            }),
            (None, Some(other)) => Err(other),
            (None, None) => Err(Refusal::NoRegion {
                required: want.required,
                numa: numa_of(want.numa),
            }),
        }
    }

    fn spaces(&self, wished: impl Fn(&Region) -> bool, want: &Want) -> Vec<Space> {
        self.regions
            .iter()
            .filter(|region| wished(region))
            .map(|region| region.space(want.mode))
            .collect()
    }
}

/// What would be left of the hole that the kernel takes for `want` in `region`.
fn left_over(region: &Region, want: &Want) -> Result<Bytes, Refusal> {
    let mut after = region.clone();
    let taken = after.place(want)?;
    let hole = region
        .free
        .iter()
        .find(|hole| hole.overlaps(taken))
        .map_or(Bytes::ZERO, |hole| hole.size);
    Ok(hole.minus(taken.size))
}

fn numa_of(wish: NumaWish) -> Option<NumaNode> {
    match wish {
        NumaWish::Any => None,
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

    fn want(mib: u32) -> Want {
        Want {
            required: Bytes::mib(mib),
            limit: None,
            mode: Mode::Fsdax(MapLocation::Dev),
            numa: NumaWish::Any,
        }
    }

    #[test]
    fn best_fit_by_the_hole_that_the_kernel_takes() {
        let mut node = node(&[&[(0, 512)], &[(0, 100), (200, 64)]]);
        assert_eq!(node.place(&want(60)).unwrap().region, RegionId("r1".into()));
        assert_eq!(node.place(&want(60)).unwrap().extent.start, Bytes::mib(200));
        assert_eq!(node.place(&want(60)).unwrap().region, RegionId("r0".into()));
    }

    #[test]
    fn left_over_is_of_the_hole_that_is_taken() {
        let node = node(&[&[(0, 512)], &[(0, 100), (200, 64)]]);
        assert_eq!(node.left_over(&want(60)), Ok(Bytes::mib(38)));
        assert_eq!(node.left_over(&want(90)), Ok(Bytes::mib(8)));
        assert!(node.left_over(&want(600)).is_err());
    }

    #[test]
    fn a_numa_wish_is_kept() {
        let mut node = node(&[&[(0, 512)], &[(0, 64)]]);
        let there = Want {
            numa: NumaWish::Node(NumaNode(0)),
            ..want(20)
        };
        assert_eq!(node.place(&there).unwrap().region, RegionId("r0".into()));
        let nowhere = Want {
            numa: NumaWish::Node(NumaNode(7)),
            ..want(20)
        };
        assert_eq!(
            node.place(&nowhere).unwrap_err().to_string(),
            "asked 20 MiB: no ready region on NUMA 7"
        );
    }

    #[test]
    fn claims_that_fit_alone_may_not_fit_together() {
        let node = node(&[&[(0, 64)], &[(0, 64)]]);
        assert!(node.fits(&[want(62), want(62)]).is_ok());
        let refusal = node.fits(&[want(62), want(30), want(40)]).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "asked 62 MiB + 30 MiB + 40 MiB; largest extent 62 MiB on NUMA 1, 128 MiB free in 2 extents"
        );
    }

    #[test]
    fn an_order_that_fails_refuses() {
        // 30 first takes the lowest hole, and 62 has none left; 62 first leaves the hole of 32 MiB to 30.
        let node = node(&[&[(0, 64), (128, 32)]]);
        assert!(node.fits(&[want(62), want(30)]).is_err());
        let node = self::node(&[&[(0, 32), (128, 64)]]);
        assert!(node.fits(&[want(62), want(30)]).is_ok());
    }
}
