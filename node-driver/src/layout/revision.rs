//! The counter that grows by one whenever any extent changes.

use crds::{PmemNodeStatus, RegionStatus};
use placement::{Extent, RegionId};

use crate::devices::Inventory;

type Extents = Vec<(RegionId, Vec<Extent>)>;

/// The counter, and the extents that its number stands for.
#[derive(Clone, Debug, Default)]
pub struct Revision {
    number: i64,
    extents: Option<Extents>,
    /// The highest number that any volume has been told: the next one is not below.
    told: i64,
}

impl Revision {
    /// Counts on after a restart: from what the node had `published`, if it had, and from the highest number that one of
    /// its volumes was `told`. The crash may have come between telling a volume and publishing.
    #[must_use]
    pub fn resume(published: Option<&PmemNodeStatus>, told: i64) -> Self {
        Self {
            number: published.map_or(0, |status| status.layout_revision),
            extents: published.map(|status| extents(&status.regions)),
            told,
        }
    }

    /// The number that stands for the extents of `inventory`.
    pub(super) fn of(&mut self, inventory: &Inventory) -> i64 {
        let now = extents(&inventory.to_status(|_| true));
        if self.extents.as_ref() != Some(&now) {
            self.number += 1;
            self.extents = Some(now);
        }
        self.number = self.number.max(self.told);
        self.number
    }
}

fn extents(regions: &[RegionStatus]) -> Extents {
    regions
        .iter()
        .map(|region| (region.id.clone(), region.free.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::{Attach, Devices, Emulated, NewNamespace};
    use placement::Bytes;

    fn new(name: &str) -> NewNamespace {
        NewNamespace {
            name: name.into(),
            region: RegionId("emulated-0".into()),
            footprint: Bytes::mib(16),
        }
    }

    #[test]
    fn grows_by_one_when_extents_change() {
        let directory = tempfile::tempdir().unwrap();
        let regions = ["64Mi".parse().unwrap()];
        let devices = Emulated::open(directory.path(), &regions, Attach::Nothing).unwrap();
        let look = || devices.inventory().unwrap();
        let mut revision = Revision::resume(None, 0);
        assert_eq!([revision.of(&look()), revision.of(&look())], [1, 1]);
        devices.create(&new("a")).unwrap();
        assert_eq!([revision.of(&look()), revision.of(&look())], [2, 2]);
        devices.destroy("a").unwrap();
        assert_eq!(revision.of(&look()), 3);
    }

    #[test]
    fn counts_on_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let regions = ["64Mi".parse().unwrap()];
        let devices = Emulated::open(directory.path(), &regions, Attach::Nothing).unwrap();
        let look = || devices.inventory().unwrap();
        let published = PmemNodeStatus {
            layout_revision: 7,
            regions: look().to_status(|_| true),
            ..Default::default()
        };
        assert_eq!(Revision::resume(Some(&published), 7).of(&look()), 7);
        assert_eq!(Revision::resume(Some(&published), 9).of(&look()), 9);
        devices.create(&new("a")).unwrap();
        assert_eq!(Revision::resume(Some(&published), 7).of(&look()), 8);
        assert_eq!(Revision::resume(Some(&published), 9).of(&look()), 9);
    }
}
