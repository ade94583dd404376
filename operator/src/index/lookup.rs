//! What the index knows about the claims of a pod.

use cluster::{Claim, Class, Lookup, NotIndexed, ObjectKey, VolumePlace, VolumeSpace};
use crds::PmemVolume;

use super::state::Index;

impl Lookup for Index {
    /// Claims are not watched: there are too many of them, and only those of pods that wait matter.
    fn claim(&self, key: &ObjectKey) -> Result<Option<&Claim>, NotIndexed> {
        Err(NotIndexed::Claim(key.clone()))
    }

    fn class(&self, name: &str) -> Result<Option<&Class>, NotIndexed> {
        let class = Index::class(self, name).ok_or_else(|| NotIndexed::Class(name.into()))?;
        Ok(Some(class))
    }

    /// external-provisioner gives a `PersistentVolume` the name that it gave CreateVolume.
    fn bound_volume(&self, persistent_volume: &str) -> Option<VolumePlace<'_>> {
        Index::volume(self, persistent_volume).map(|volume| self.place(volume))
    }

    fn volume(&self, name: &str) -> Option<VolumePlace<'_>> {
        let volume = self.newest_volume(name)?;
        VolumeSpace::from(volume).stays().then(|| self.place(volume))
    }
}

impl Index {
    fn place<'a>(&self, volume: &'a PmemVolume) -> VolumePlace<'a> {
        let status = self.node_status(&volume.spec.node);
        VolumePlace {
            node: &volume.spec.node,
            numa: status.and_then(|status| VolumeSpace::from(volume).numa(status)),
        }
    }
}
