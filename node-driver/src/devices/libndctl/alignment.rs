//! The best alignment of a region.

use placement::Bytes;

/// The alignment that wastes least: the smallest multiple of 2 MiB that spreads evenly over `ways` modules.
///
/// Each module's share has to be a power of two (`align_store` in `drivers/nvdimm/region_devs.c`), and a fsdax namespace
/// starts and ends on 2 MiB. It holds until the next boot.
pub(super) fn best_alignment(ways: u32) -> Bytes {
    let odd_part = ways.max(1) >> ways.max(1).trailing_zeros();
    Bytes::mib(2).times(odd_part.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_gets_a_power_of_two() {
        for (ways, mib) in [(0, 2), (1, 2), (2, 2), (3, 6), (4, 2), (6, 6), (8, 2), (12, 6)] {
            assert_eq!(best_alignment(ways), Bytes::mib(mib), "{ways} ways");
            let share = best_alignment(ways).get() / i64::from(ways.max(1));
            assert_eq!(share.count_ones(), 1, "{ways} ways");
        }
    }
}
