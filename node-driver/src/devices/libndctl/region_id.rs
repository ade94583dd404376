//! Names of regions that stay the same over reboots.

use std::collections::HashMap;
use std::fmt::Write;

use placement::{Bytes, RegionId};
use sha2::{Digest, Sha256};

/// What the name of a region is made of. Kernel names change from boot to boot; cookies change when labels are first
/// written, and are zero on CXL.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// Kind of bus: the first part of the name.
    pub(super) bus: &'static str,
    /// The provider of the bus, such as `ACPI.NFIT`.
    pub(super) provider: String,
    /// The modules it is made of.
    pub(super) modules: Vec<Module>,
    /// Physical address of its first byte.
    pub(super) start: Bytes,
}

/// A module and its part in a region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Module {
    /// What it reports as its identity; none if it reports nothing.
    pub(super) unique_id: Option<String>,
    /// Its place in the interleave set.
    pub(super) position: Option<u32>,
    /// Where the region starts on it.
    pub(super) start: Bytes,
}

impl Origin {
    /// Whether its modules alone tell it from every other region, as they have to on CXL: whatever set is plugged in comes up
    /// at the same address.
    pub(super) fn is_identified(&self) -> bool {
        self.bus != "cxl" || self.modules.iter().all(|module| module.unique_id.is_some())
    }
}

/// The names of all regions, in the same order.
///
/// The physical address becomes part of a name only where the modules cannot tell regions apart: when there are none, when
/// they report no identity, or when others report the same.
pub(super) fn ids(origins: &[Origin]) -> Vec<RegionId> {
    let keys: Vec<Option<String>> = origins.iter().map(key_by_modules).collect();
    let mut seen: HashMap<&String, usize> = HashMap::new();
    for key in keys.iter().flatten() {
        *seen.entry(key).or_default() += 1;
    }
    let own = |key: &Option<String>| key.clone().filter(|key| seen.get(key) == Some(&1));
    let id = |(origin, key): (&Origin, &Option<String>)| {
        let key = own(key).unwrap_or_else(|| key_by_start(origin, key.as_deref()));
        RegionId(format!("{}-{}", origin.bus, short_hash(&key)))
    };
    origins.iter().zip(&keys).map(id).collect()
}

fn key_by_modules(origin: &Origin) -> Option<String> {
    if origin.modules.is_empty() {
        return None;
    }
    let mut modules = origin.modules.clone();
    modules.sort();
    let mut key = origin.provider.clone();
    for module in modules {
        let id = module.unique_id?;
        let position = module
            .position
            .map_or_else(|| "-".into(), |position| position.to_string());
        // Writing to a String cannot fail.
        let _ = write!(key, "\n{id} {position} {}", module.start.get());
    }
    Some(key)
}

fn key_by_start(origin: &Origin, modules: Option<&str>) -> String {
    let modules = modules.unwrap_or(&origin.provider);
    format!("{modules}\nstart {}", origin.start.get())
}

/// 48 bits: a node has a few dozen regions at most.
fn short_hash(key: &str) -> String {
    let digest = Sha256::digest(key.as_bytes());
    let number = digest
        .iter()
        .take(6)
        .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{number:012x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(id: &str, position: u32) -> Module {
        Module {
            unique_id: Some(id.into()),
            position: Some(position),
            start: Bytes::ZERO,
        }
    }

    fn origin(modules: &[Module], start: u32) -> Origin {
        Origin {
            bus: "nfit",
            provider: "ACPI.NFIT".into(),
            modules: modules.to_vec(),
            start: Bytes::gib(start),
        }
    }

    #[test]
    fn follows_the_modules_and_not_the_address() {
        let before = ids(&[origin(&[module("a", 0)], 4), origin(&[module("b", 0)], 8)]);
        let after = ids(&[origin(&[module("b", 0)], 4), origin(&[module("a", 0)], 8)]);
        assert_eq!(before[0], after[1]);
        assert_eq!(before[1], after[0]);
        assert_ne!(before[0], before[1]);
        assert!(before[0].0.starts_with("nfit-"));
    }

    #[test]
    fn positions_matter_and_the_order_of_listing_does_not() {
        let listed = |modules: [Module; 2]| ids(&[origin(&modules, 4)]).remove(0);
        let set = listed([module("a", 0), module("b", 1)]);
        assert_eq!(set, listed([module("b", 1), module("a", 0)]));
        assert_ne!(set, listed([module("a", 1), module("b", 0)]));
    }

    /// They come up at the same address, whichever set is plugged in.
    #[test]
    fn three_sets_of_cxl_devices_have_three_ids() {
        let set = |serials: [u64; 2]| {
            let modules = [
                module(&format!("{:#x}", serials[0]), 0),
                module(&format!("{:#x}", serials[1]), 1),
            ];
            let origin = Origin {
                bus: "cxl",
                provider: "CXL".into(),
                ..origin(&modules, 4)
            };
            ids(&[origin]).remove(0)
        };
        let sets = [set([1, 2]), set([3, 4]), set([1, 4])];
        assert!(
            sets[0] != sets[1] && sets[1] != sets[2] && sets[0] != sets[2],
            "{sets:?}"
        );
        assert_eq!(set([1, 2]), sets[0]);
        assert_ne!(set([2, 1]), sets[0]);
    }

    #[test]
    fn a_cxl_region_is_known_by_every_module() {
        let silent = Module {
            unique_id: None,
            ..module("", 1)
        };
        let region = |bus, modules: &[Module]| Origin {
            bus,
            ..origin(modules, 4)
        };
        assert!(region("cxl", &[module("0x1", 0), module("0x2", 1)]).is_identified());
        assert!(!region("cxl", &[module("0x1", 0), silent.clone()]).is_identified());
        assert!(region("nfit", &[silent]).is_identified());
    }

    /// Volumes record the id of their region: it never changes.
    #[test]
    fn ids_of_nfit_regions_are_as_they_were() {
        let id = ids(&[origin(&[module("8680-56341200", 0)], 4)]).remove(0);
        assert_eq!(id.0, "nfit-ac9ceb1623fc");
    }

    #[test]
    fn regions_that_modules_cannot_tell_apart_go_by_address() {
        let same = ids(&[origin(&[module("a", 0)], 4), origin(&[module("a", 0)], 8)]);
        assert_ne!(same[0], same[1]);
        let none = ids(&[origin(&[], 4), origin(&[], 8)]);
        assert_ne!(none[0], none[1]);
        let silent = Module {
            unique_id: None,
            ..module("", 0)
        };
        let silent = ids(&[origin(std::slice::from_ref(&silent), 4), origin(&[silent], 8)]);
        assert_ne!(silent[0], silent[1]);
    }
}
