//! The free space at this moment: what a node published, minus the volumes that it does not contain yet.

use crate::{Node, RegionId, VolumeRequest};

/// A volume that exists as an object, but not yet in the extents that its node published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingVolume {
    /// What it asks for.
    pub request: VolumeRequest,
    /// The region that the node chose for it, once it did.
    pub region: Option<RegionId>,
}

impl Node {
    /// This node once `pending` is there, created in this order.
    ///
    /// A volume that does not fit takes nothing: the node will refuse it.
    #[must_use]
    pub fn with_pending(&self, pending: &[PendingVolume]) -> Self {
        let mut view = self.clone();
        for volume in pending {
            let chosen = volume
                .region
                .as_ref()
                .and_then(|id| view.regions.iter_mut().find(|region| region.id == *id));
            let _refused = match chosen {
                Some(region) => region.place(&volume.request).err(),
                None => view.place(&volume.request).err(),
            };
        }
        view
    }
}
