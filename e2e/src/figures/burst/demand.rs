//! What the pods ask for: random, the same for the same seed, and in all a given share of what there is.

use anyhow::{Result, ensure};
use placement::{Alignment, Bytes, MapLocation, Mode};

/// What there is, and how much of it is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Supply {
    /// Regions of all nodes.
    pub(super) regions: u32,
    /// Raw bytes of each.
    pub(super) region: Bytes,
    /// Raw bytes that the volumes will take, as a share of all raw bytes.
    pub(super) fill: f64,
}

/// A claim to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClaimDemand {
    /// Its StorageClass, one of the manifests'.
    pub(super) class: &'static str,
    /// Usable bytes.
    pub(super) size: Bytes,
}

const SMALLEST: Bytes = Bytes::mib(1);
/// The largest claim is this part of a region.
const PARTS: i64 = 4;
/// Spread of the lognormal sizes: a claim in six is 2.7 times the median or more.
const SIGMA: f64 = 1.0;
const FSDAX: (&str, Mode) = ("daxfit-ext4", Mode::Fsdax(MapLocation::Dev));
const SECTOR: (&str, Mode) = ("daxfit-sector", Mode::Sector);
/// One claim in this many is for sectors.
const SECTORS: u64 = 5;

/// A claim without its size, which depends on the median: only how far it is from it, in sigmas.
struct Shape {
    class: &'static str,
    mode: Mode,
    deviation: f64,
}

/// The claims of `pods` pods, one to three each. Sizes are lognormal between 1 MiB and a quarter of a region; their median
/// follows from the share of all bytes that they are to take.
/// It is an error if no median gives that share.
pub(super) fn demand(pods: u32, supply: Supply, seed: u64) -> Result<Vec<Vec<ClaimDemand>>> {
    let shapes = shapes(pods, seed);
    let alignment = Alignment::try_from(Bytes::mib(2))?;
    let all = supply.region.times(i64::from(supply.regions));
    let share_at = |median: f64| -> Result<f64> {
        let mut taken = Bytes::ZERO;
        for shape in shapes.iter().flatten() {
            taken = taken.plus(shape.mode.footprint(alignment, shape.size(median, supply), None)?);
        }
        Ok(share(taken, all))
    };
    let (mut low, mut high) = (as_number(SMALLEST), as_number(supply.region));
    ensure!(
        share_at(low)? <= supply.fill && share_at(high)? >= supply.fill,
        "no sizes from 1 MiB to a quarter of a region fill {} of all space with {pods} pods: change the number of pods or nodes",
        supply.fill
    );
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if share_at(middle)? < supply.fill {
            low = middle;
        } else {
            high = middle;
        }
    }
    let sized = |shape: &Shape| ClaimDemand {
        class: shape.class,
        size: shape.size(high, supply),
    };
    Ok(shapes.iter().map(|pod| pod.iter().map(sized).collect()).collect())
}

impl Shape {
    fn size(&self, median: f64, supply: Supply) -> Bytes {
        let size = median * (SIGMA * self.deviation).exp();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "far below 2^63, and a fraction of a byte does not matter"
        )]
        let size = Bytes::try_from(size as i64).unwrap_or_default();
        let largest = Bytes::try_from(supply.region.get() / PARTS).unwrap_or_default();
        size.max(SMALLEST).min(largest)
    }
}

fn shapes(pods: u32, seed: u64) -> Vec<Vec<Shape>> {
    let mut random = Random(seed);
    let claim = |random: &mut Random| {
        let (class, mode) = if random.below(SECTORS) == 0 { SECTOR } else { FSDAX };
        let deviation = random.normal();
        Shape { class, mode, deviation }
    };
    (0..pods)
        .map(|_| (0..=random.below(3)).map(|_| claim(&mut random)).collect())
        .collect()
}

/// One amount as a share of another.
pub(super) fn share(part: Bytes, whole: Bytes) -> f64 {
    as_number(part) / as_number(whole)
}

#[expect(clippy::cast_precision_loss, reason = "shares are not needed to the byte")]
fn as_number(bytes: Bytes) -> f64 {
    bytes.get() as f64
}

/// Splitmix64 (Steele, Lea, Flood 2014): the same numbers everywhere for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn unit(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap_or_default()) / f64::from(u32::MAX)
    }

    /// Mean 0 and variance 1, by the sum of twelve.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn supply(fill: f64) -> Supply {
        Supply {
            regions: 40,
            region: Bytes::gib(1),
            fill,
        }
    }

    #[test]
    fn claims_take_the_share_that_is_asked_for() {
        let pods = demand(200, supply(0.95), 1).unwrap();
        assert_eq!(pods.len(), 200);
        assert!(pods.iter().all(|claims| (1..=3).contains(&claims.len())));
        let alignment = Alignment::try_from(Bytes::mib(2)).unwrap();
        let mode = |class| if class == SECTOR.0 { SECTOR.1 } else { FSDAX.1 };
        let footprint = |ask: &ClaimDemand| mode(ask.class).footprint(alignment, ask.size, None).unwrap();
        let taken: Bytes = pods.iter().flatten().map(footprint).sum();
        let share = share(taken, Bytes::gib(40));
        assert!((0.95..0.952).contains(&share), "{share}");
        let sizes = || pods.iter().flatten().map(|ask| ask.size);
        assert!(sizes().all(|size| size >= Bytes::mib(1) && size <= Bytes::mib(256)));
        assert!(sizes().min() < Some(Bytes::mib(30)) && sizes().max() == Some(Bytes::mib(256)));
    }

    #[test]
    fn the_seed_decides() {
        let of = |seed| demand(200, supply(0.9), seed).unwrap();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn a_share_that_cannot_be_reached_is_refused() {
        assert!(demand(10, supply(0.9), 1).is_err());
        assert!(demand(20_000, supply(0.9), 1).is_err());
    }
}
