//! The layout revision: a number that grows by one whenever any free extent changes.

use crds::{PmemNodeStatus, RegionStatus};
use placement::{Extent, RegionId};

use crate::devices::Inventory;

type Extents = Vec<(RegionId, Vec<Extent>)>;

/// The number, and the free extents that it stands for.
#[derive(Clone, Debug, Default)]
pub struct Revision {
    number: i64,
    extents: Option<Extents>,
    /// The highest number that stands in a volume's status: the next one is not below.
    written: i64,
}

impl Revision {
    /// Continues after a restart: from what the node `reported`, if it did, and from the highest number `written` in the
    /// status of one of its volumes. A crash may have come between writing that and reporting.
    #[must_use]
    pub fn resume(reported: Option<&PmemNodeStatus>, written: i64) -> Self {
        Self {
            number: reported.map_or(0, |status| status.layout_revision),
            extents: reported.map(|status| extents(&status.regions)),
            written,
        }
    }

    /// The status of a volume has this number. True if the last one is below.
    pub(super) fn note_written(&mut self, written: i64) -> bool {
        self.written = self.written.max(written);
        self.number < written
    }

    /// The number after `inventory` was listed: the next one if its free extents differ from the last ones.
    pub(super) fn after(&mut self, inventory: &Inventory) -> i64 {
        let now = extents(&inventory.to_status(|_| false));
        if self.extents.as_ref() != Some(&now) {
            self.number += 1;
            self.extents = Some(now);
        }
        self.number = self.number.max(self.written);
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
            volume: name.into(),
            region: RegionId("emulated-0".into()),
            footprint: Bytes::mib(16),
        }
    }

    #[test]
    fn grows_by_one_when_extents_change() {
        let directory = tempfile::tempdir().unwrap();
        let regions = ["64Mi".parse().unwrap()];
        let devices = Emulated::open(directory.path(), &regions, Attach::Nothing).unwrap();
        let list = || devices.inventory().unwrap();
        let mut revision = Revision::resume(None, 0);
        assert_eq!([revision.after(&list()), revision.after(&list())], [1, 1]);
        devices.create(&new("a")).unwrap();
        assert_eq!([revision.after(&list()), revision.after(&list())], [2, 2]);
        devices.destroy("a", &[]).unwrap();
        assert_eq!(revision.after(&list()), 3);
    }

    #[test]
    fn continues_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let regions = ["64Mi".parse().unwrap()];
        let devices = Emulated::open(directory.path(), &regions, Attach::Nothing).unwrap();
        let list = || devices.inventory().unwrap();
        let reported = PmemNodeStatus {
            layout_revision: 7,
            regions: list().to_status(|_| false),
            ..Default::default()
        };
        assert_eq!(Revision::resume(Some(&reported), 7).after(&list()), 7);
        assert_eq!(Revision::resume(Some(&reported), 9).after(&list()), 9);
        let mut restored = Revision::resume(Some(&reported), 7);
        assert!(!restored.note_written(7) && restored.note_written(9));
        assert_eq!([restored.after(&list()), restored.after(&list())], [9, 9]);
        assert!(!restored.note_written(9));
        devices.create(&new("a")).unwrap();
        assert_eq!(Revision::resume(Some(&reported), 7).after(&list()), 8);
        assert_eq!(Revision::resume(Some(&reported), 9).after(&list()), 9);
    }
}
