//! What the index knows about the claims of a pod.

use cluster::{Claim, Class, Lookup, NotIndexed, ObjectKey, VolumePlace, VolumeSpace};
use crds::PmemVolume;
use placement::NumaNode;

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

    /// By its PmemVolume, or while that is gone by what the `PersistentVolume` itself says. One that the watch has not
    /// shown yet has the name of its volume: external-provisioner gives it the name that it gave CreateVolume.
    fn bound_volume(&self, persistent_volume: &str) -> Option<VolumePlace<'_>> {
        let named = self.persistent_volume(persistent_volume).map(|named| &named.volume);
        let volume = Index::volume(self, named.map_or(persistent_volume, |named| &named.handle));
        volume.map(|volume| self.place(volume)).or_else(|| {
            let node = named?.node.as_deref()?;
            Some(VolumePlace { node, numa: None })
        })
    }

    fn volume(&self, name: &str) -> Option<VolumePlace<'_>> {
        let volume = self.newest_volume(name)?;
        VolumeSpace::from(volume).stays().then(|| self.place(volume))
    }

    /// An event may be wrong for a moment: the next one is not.
    fn knows_volume(&self, _: &str) -> Result<(), NotIndexed> {
        Ok(())
    }

    fn numa_of(&self, volume: &PmemVolume) -> Option<NumaNode> {
        let status = self.node_status(&volume.spec.node)?;
        VolumeSpace::from(volume).numa(status)
    }
}

impl Index {
    fn place<'a>(&self, volume: &'a PmemVolume) -> VolumePlace<'a> {
        VolumePlace {
            node: &volume.spec.node,
            numa: self.numa_of(volume),
        }
    }
}
