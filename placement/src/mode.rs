//! What a namespace of some raw size offers, and what raw size a claim needs.

use serde::{Deserialize, Serialize};

use crate::{Alignment, Bytes, Refusal};

/// How a namespace presents its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// File systems and raw block devices that can be mapped directly (DAX). The kernel keeps a page map for it.
    Fsdax(MapLocation),
    /// Block Translation Table: power-fail atomic 4 KiB sectors, no DAX.
    Sector,
}

/// Where the kernel keeps the page map of a fsdax namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(inline))]
#[serde(rename_all = "lowercase")]
pub enum MapLocation {
    /// In the namespace itself: costs 64 bytes of persistent memory for each 4 KiB.
    #[default]
    Dev,
    /// In the node's RAM: costs the same there.
    Mem,
}

/// `sizeof(struct page)` that the kernel reserves for (`MAX_STRUCT_PAGE_SIZE` in `drivers/nvdimm/nd.h`).
const STRUCT_PAGE: Bytes = Bytes::new(64);
/// Info block and padding before the page map (`nd_pfn_init` in `drivers/nvdimm/pfn_devs.c`).
const PFN_INFO: Bytes = Bytes::kib(8);
/// What the start of the data of a fsdax namespace is aligned to: one huge page, so that DAX can use them.
const PFN_ALIGN: Bytes = Bytes::mib(2);
/// Smallest fsdax namespace that the kernel enables.
const MIN_FSDAX: Bytes = Bytes::mib(16);

/// Size of a BTT page, and of the sectors that we use (`drivers/nvdimm/btt.h`).
const BTT_PAGE: Bytes = Bytes::kib(4);
/// A BTT of version 1.1 starts this far into its namespace (`initial_offset` in `drivers/nvdimm/btt_devs.c`).
const BTT_OFFSET: Bytes = Bytes::kib(4);
const BTT_ARENA_MAX: Bytes = Bytes::gib(512);
const BTT_ARENA_MIN: Bytes = Bytes::mib(16);
/// Bytes of the map for each sector.
const BTT_MAP_ENTRY: Bytes = Bytes::new(4);
/// Free sectors that an arena keeps so that writes are atomic, one for each lane.
const BTT_FREE_SECTORS: i64 = 256;
/// Flog: one group of 64 bytes for each lane.
const BTT_LOG: Bytes = Bytes::kib(16);

impl Mode {
    /// The raw sizes that this mode takes in a region of `alignment` are multiples of this.
    ///
    /// A fsdax namespace starts and ends on 2 MiB (`memremap_compat_align`), whatever the region allows.
    #[must_use]
    pub fn granularity(self, alignment: Alignment) -> Bytes {
        match self {
            Self::Fsdax(_) => alignment.get().max(PFN_ALIGN),
            Self::Sector => alignment.get(),
        }
    }

    /// Bytes that a namespace of `raw` bytes offers in this mode; zero if the kernel would not enable it.
    #[must_use]
    pub fn usable(self, raw: Bytes) -> Bytes {
        match self {
            Self::Fsdax(_) if raw < MIN_FSDAX => Bytes::ZERO,
            Self::Fsdax(map) => raw.round_down(PFN_ALIGN).minus(pfn_overhead(map, raw)),
            Self::Sector => btt_usable(raw.minus(BTT_OFFSET)),
        }
    }

    /// The smallest raw size that offers at least `required` bytes in a region of `alignment`, at most `limit` usable.
    ///
    /// # Errors
    /// [`Refusal::BeyondAddressing`] if no raw size is large enough, [`Refusal::LimitTooLow`] if the smallest one offers
    /// more than `limit`.
    pub fn footprint(self, alignment: Alignment, required: Bytes, limit: Option<Bytes>) -> Result<Bytes, Refusal> {
        let raw = self.smallest_raw(self.granularity(alignment), required)?;
        let usable = self.usable(raw);
        match limit {
            Some(limit) if usable > limit => Err(Refusal::LimitTooLow {
                required,
                limit,
                usable,
            }),
            _ => Ok(raw),
        }
    }

    /// Binary search works because `usable` never falls when `raw` grows.
    fn smallest_raw(self, step: Bytes, required: Bytes) -> Result<Bytes, Refusal> {
        let enough = |steps: i64| self.usable(step.times(steps)) >= required.max(Bytes::kib(4));
        let most = Bytes::MAX.divided_by(step);
        if !enough(most) {
            return Err(Refusal::BeyondAddressing { required });
        }
        let (mut too_few, mut plenty) = (0, most);
        while plenty - too_few > 1 {
            let middle = too_few + (plenty - too_few) / 2;
            if enough(middle) {
                plenty = middle;
            } else {
                too_few = middle;
            }
        }
        Ok(step.times(plenty))
    }
}

/// `offset` in `nd_pfn_init`, for a namespace that starts on a multiple of 2 MiB.
fn pfn_overhead(map: MapLocation, raw: Bytes) -> Bytes {
    let page_map = match map {
        MapLocation::Dev => STRUCT_PAGE.times(raw.minus(PFN_INFO).divided_by(Bytes::kib(4))),
        MapLocation::Mem => Bytes::ZERO,
    };
    PFN_INFO.plus(page_map).round_up(PFN_ALIGN)
}

/// Sum over the arenas that `create_arenas` in `drivers/nvdimm/btt.c` would make.
fn btt_usable(raw: Bytes) -> Bytes {
    let full = raw.divided_by(BTT_ARENA_MAX);
    let rest = raw.minus(BTT_ARENA_MAX.times(full));
    arena_usable(BTT_ARENA_MAX).times(full).plus(arena_usable(rest))
}

/// `alloc_arena` in `drivers/nvdimm/btt.c`: two info blocks, the log, the map, and spare sectors.
fn arena_usable(arena: Bytes) -> Bytes {
    if arena < BTT_ARENA_MIN {
        return Bytes::ZERO;
    }
    let available = arena.round_down(BTT_PAGE).minus(BTT_PAGE.times(2)).minus(BTT_LOG);
    let sectors = available.minus(BTT_PAGE).divided_by(BTT_PAGE.plus(BTT_MAP_ENTRY));
    BTT_PAGE.times(sectors - BTT_FREE_SECTORS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DEV: Mode = Mode::Fsdax(MapLocation::Dev);
    const MEM: Mode = Mode::Fsdax(MapLocation::Mem);
    const MODES: [Mode; 3] = [DEV, MEM, Mode::Sector];

    /// Read off Linux 6.1 with ndctl 76.1.
    #[test]
    fn usable_as_measured() {
        for (raw, usable) in [(16, 14), (28, 26), (32, 30), (64, 62), (160, 156), (512, 502)] {
            assert_eq!(DEV.usable(Bytes::mib(raw)), Bytes::mib(usable), "{raw} MiB");
        }
        assert_eq!(Mode::Sector.usable(Bytes::mib(64)).get(), 65_961_984);
    }

    #[test]
    fn below_the_floor_nothing_is_usable() {
        assert_eq!(DEV.usable(Bytes::mib(14)), Bytes::ZERO);
        assert_eq!(Mode::Sector.usable(Bytes::mib(16)), Bytes::ZERO);
    }

    #[test]
    fn footprints_of_small_claims() {
        let align = Alignment::try_from(Bytes::mib(2)).unwrap();
        let footprint = |mode: Mode, required| mode.footprint(align, required, None).unwrap();
        assert_eq!(footprint(DEV, Bytes::mib(1)), Bytes::mib(16));
        assert_eq!(footprint(DEV, Bytes::mib(28)), Bytes::mib(30));
        assert_eq!(footprint(MEM, Bytes::mib(28)), Bytes::mib(30));
        assert_eq!(footprint(Mode::Sector, Bytes::mib(1)), Bytes::mib(18));
    }

    #[test]
    fn a_limit_below_what_fits_names_both_numbers() {
        let align = Alignment::try_from(Bytes::mib(2)).unwrap();
        let refusal = DEV.footprint(align, Bytes::mib(1), Some(Bytes::mib(2))).unwrap_err();
        assert_eq!(
            refusal,
            Refusal::LimitTooLow {
                required: Bytes::mib(1),
                limit: Bytes::mib(2),
                usable: Bytes::mib(14)
            }
        );
    }

    proptest! {
        #[test]
        fn footprint_is_the_smallest_that_is_enough(
            required in 1_i64..(3 << 40), shift in prop::sample::select(vec![12_u32, 21, 24]), mode in prop::sample::select(MODES.to_vec())
        ) {
            let required = Bytes::try_from(required).unwrap();
            let align = Alignment::try_from(Bytes::try_from(1_i64 << shift).unwrap()).unwrap();
            let raw = mode.footprint(align, required, None).unwrap();
            let step = mode.granularity(align);
            prop_assert!(raw.is_multiple_of(step));
            prop_assert!(mode.usable(raw) >= required);
            prop_assert!(mode.usable(raw.minus(step)) < required);
        }

        #[test]
        fn usable_never_falls(raw in 0_i64..(2 << 40), more in 0_i64..(1 << 30), mode in prop::sample::select(MODES.to_vec())) {
            let small = Bytes::try_from(raw).unwrap();
            prop_assert!(mode.usable(small) <= mode.usable(small.plus(Bytes::try_from(more).unwrap())));
        }
    }
}
