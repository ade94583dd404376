//! How much it costs to put a volume into a region that could soon be free from end to end.
//!
//! Best fit alone fills the small holes of a region that has only a few large volumes with small ones. Once the large ones
//! go, the small ones stay in the way of the next large claim. So a region is the more worth, the fewer volumes it has:
//! small claims go where many volumes are, and regions that are nearly empty, or hold large volumes, stay whole. The figures
//! of `cargo bench -p placement --bench packing` show what it is worth, and the two numbers here come from there.

use crate::{Bytes, RegionId};

/// What is in a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupancy {
    /// Which region.
    pub region: RegionId,
    /// Its size, raw.
    pub size: Bytes,
    /// How many namespaces are in it, also those that are not ours.
    pub volumes: usize,
}

/// The surcharge of an empty region is its size divided by this.
const OF_EMPTY: Bytes = Bytes::new(32);
/// e^(-1/3) in units of [`ONE`]: what is left of the surcharge with each volume.
const LEFT_BY_EACH: i64 = 734;
const ONE: Bytes = Bytes::kib(1);
/// With so many volumes there is none.
const MANY: usize = 24;

impl Occupancy {
    /// What a volume in this region costs on top of what it leaves over: `size / 32 × e^(-volumes / 3)`.
    pub(crate) fn surcharge(&self) -> Bytes {
        if self.volumes > MANY {
            return Bytes::ZERO;
        }
        let empty = Bytes::new(1).times(self.size.divided_by(OF_EMPTY));
        let less = |left: Bytes, _| Bytes::new(1).times(left.divided_by(ONE)).times(LEFT_BY_EACH);
        (0..self.volumes).fold(empty, less)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(volumes: usize) -> Bytes {
        let region = RegionId("r".into());
        let size = Bytes::gib(32);
        Occupancy { region, size, volumes }.surcharge()
    }

    #[test]
    fn it_falls_by_e_for_three_volumes() {
        assert_eq!(of(0), Bytes::gib(1));
        for volumes in 0..10 {
            let thousandths = of(volumes).times(1000).divided_by(of(volumes + 3));
            assert!((2708..2728).contains(&thousandths), "{volumes}: {thousandths}");
        }
        assert!((1..MANY).all(|volumes| of(volumes) < of(volumes - 1)));
        assert_eq!(of(MANY + 1), Bytes::ZERO);
    }
}
