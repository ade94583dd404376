//! What can be made of the space between namespaces, and what to tell of the rest.

use crds::RegionState;
use placement::{Extent, free_between, usable_of};

use super::inventory::{Inventory, Region};

impl Inventory {
    /// The free extents of a region, without bad blocks and without what the kernel would not give: none unless it is ready.
    #[must_use]
    pub fn free(&self, region: &Region) -> Vec<Extent> {
        if region.state != RegionState::Ready {
            return Vec::new();
        }
        self.free_region(region).free
    }

    /// The region with its free extents.
    pub(super) fn free_region(&self, region: &Region) -> placement::Region {
        let mut offered = placement::Region {
            id: region.id.clone(),
            numa: region.numa,
            alignment: region.alignment,
            free: self.offered(region),
        };
        for bad in self.exposed(region) {
            offered.take(bad);
        }
        offered
    }

    /// The extents of a region that no namespace has, but for what is swept.
    #[must_use]
    pub fn between_namespaces(&self, region: &Region) -> Vec<Extent> {
        self.with_sweeps(region, self.without_any(region))
    }

    fn without_any(&self, region: &Region) -> Vec<Extent> {
        let here = self.namespaces.iter().filter(|ns| ns.region == region.id);
        free_between(region.size, here.map(|namespace| namespace.extent))
    }

    /// What to tell of a region: why it is not ready, or why the kernel gives less than what is between its namespaces.
    pub(super) fn message(&self, region: &Region) -> String {
        if region.state != RegionState::Ready || region.offer.is_everything() {
            return region.message.clone();
        }
        let (device, unit) = (&region.device, region.alignment.get());
        let between = self.between_namespaces(region);
        let withheld = usable_of(&between, unit).minus(usable_of(&self.offered(region), unit));
        let largest = between.iter().map(|hole| hole.aligned(unit).size).max();
        if withheld.is_zero() {
            region.message.clone()
        } else if largest.is_some_and(|largest| largest > region.offer.largest) {
            format!(
                "the kernel does not give {withheld} of {device}, which no namespace has: when nothing in it is in use, \
                 `ndctl disable-region {device} && ndctl enable-region {device}`"
            )
        } else {
            format!(
                "the kernel counts {withheld} of {device} as used, because namespaces whose sizes are not multiples of {unit} \
                 meet there"
            )
        }
    }

    /// The kernel does not count what is swept.
    fn offered(&self, region: &Region) -> Vec<Extent> {
        let offered = region.offer.of(self.without_any(region), region.alignment);
        self.with_sweeps(region, offered)
    }
}
