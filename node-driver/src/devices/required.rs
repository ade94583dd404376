//! What a call needs of an inventory, and the error if that is not there: the same for each backend that has one.

use std::path::Path;

use crds::{RegionState, VolumeMode};
use placement::RegionId;

use super::backend::{Dax, EarlierVolume, VolumeDevice};
use super::error::DeviceError;
use super::inventory::{Inventory, Namespace, Region, Unclear};
use super::mark::Stage;

impl Inventory {
    /// What [`Devices::find_volume`](super::Devices::find_volume) answers. `has_dax` is asked about a block device whose mode
    /// promises DAX.
    ///
    /// # Errors
    /// As there.
    pub fn find_volume(
        &self,
        volume: &str,
        has_dax: impl FnOnce(&Path) -> bool,
    ) -> Result<Option<VolumeDevice>, DeviceError> {
        let marked = self.of_volume(volume).map_err(|unclear| not_clear(volume, unclear))?;
        let found = match marked {
            Some((found, stage)) => Some((found, Some(stage))),
            None => self.only_unmarked(volume)?.map(|found| (found, None)),
        };
        found
            .map(|(found, stage)| self.volume_device(found, volume, stage, has_dax))
            .transpose()
    }

    /// The namespace of a volume, and how far it has come.
    ///
    /// # Errors
    /// There is none, or it is not clear which it is.
    pub fn existing(&self, volume: &str) -> Result<(&Namespace, Stage), DeviceError> {
        let found = self.of_volume(volume).map_err(|unclear| not_clear(volume, unclear))?;
        found.ok_or_else(|| not_found(volume))
    }

    /// The namespace that a mark is written to ([`Inventory::to_mark`]), and how far it has come.
    ///
    /// # Errors
    /// As [`Inventory::existing`].
    pub fn existing_to_mark(&self, volume: &str, stage: Stage) -> Result<(&Namespace, Stage), DeviceError> {
        let found = self
            .to_mark(volume, stage)
            .map_err(|unclear| not_clear(volume, unclear))?;
        found.ok_or_else(|| not_found(volume))
    }

    /// The namespace of a volume that was made before there were marks.
    ///
    /// # Errors
    /// There is none of its name without a mark at its place.
    pub fn existing_earlier(&self, earlier: &EarlierVolume) -> Result<&Namespace, DeviceError> {
        let is_it = |found: &&Namespace| found.region == earlier.region && found.extent == earlier.extent;
        let found = self.unmarked(&earlier.volume).find(is_it);
        found.ok_or_else(|| not_found(&earlier.volume))
    }

    /// A region that namespaces can be made in.
    ///
    /// # Errors
    /// It is in another state, or not shown.
    pub fn ready_region(&self, id: &RegionId) -> Result<&Region, DeviceError> {
        self.region_if(id, |region| region.state == RegionState::Ready)
    }

    /// A region whose namespaces may be written to. A full label area keeps new ones out, and does no harm to others.
    ///
    /// # Errors
    /// It is in another state, or not shown.
    pub fn writable_region(&self, id: &RegionId) -> Result<&Region, DeviceError> {
        self.region_if(id, |region| match region.state {
            RegionState::Ready | RegionState::Degraded => true,
            RegionState::Unprepared
            | RegionState::ReadOnly
            | RegionState::Disabled
            | RegionState::Misaligned
            | RegionState::NotSeen => false,
        })
    }

    /// Looks whether a namespace that was destroyed is gone. The kernel forgets it also if it could not delete its label: after
    /// a reboot it would be there again, over whatever got its space. Such a region is not seen any more.
    ///
    /// # Errors
    /// Its region is not seen.
    pub fn check_gone(&self, id: &RegionId) -> Result<(), DeviceError> {
        match self.region(id) {
            None => Ok(()),
            Some(_) => self.region_if(id, |region| region.state.shows_namespaces()).map(drop),
        }
    }

    fn region_if(&self, id: &RegionId, will_do: impl Fn(&Region) -> bool) -> Result<&Region, DeviceError> {
        let not_ready = |message: &str| DeviceError::NotReady {
            region: id.clone(),
            message: message.into(),
        };
        match self.region(id) {
            None => Err(not_ready("the kernel does not show it")),
            Some(region) if will_do(region) => Ok(region),
            Some(region) => Err(not_ready(&region.message)),
        }
    }

    fn only_unmarked(&self, volume: &str) -> Result<Option<&Namespace>, DeviceError> {
        let unmarked: Vec<&Namespace> = self.unmarked(volume).collect();
        match unmarked[..] {
            [] => Ok(None),
            [only] => Ok(Some(only)),
            _ => Err(DeviceError::Ambiguous {
                name: volume.into(),
                count: unmarked.len(),
            }),
        }
    }

    fn volume_device(
        &self,
        found: &Namespace,
        volume: &str,
        stage: Option<Stage>,
        has_dax: impl FnOnce(&Path) -> bool,
    ) -> Result<VolumeDevice, DeviceError> {
        let mode = found.mode.of_volume();
        let (Some(mode), Some(path), Some(usable)) = (mode, found.block.clone(), found.usable) else {
            return Err(DeviceError::Incomplete { name: volume.into() });
        };
        let dax = match mode {
            VolumeMode::Fsdax => Dax::promised(has_dax(&path)),
            VolumeMode::Sector => Dax::NotOffered,
        };
        Ok(VolumeDevice {
            path,
            stage,
            is_recorded: found.is_recorded,
            mode,
            usable,
            numa: self.region(&found.region).and_then(|region| region.numa),
            dax,
        })
    }
}

fn not_found(volume: &str) -> DeviceError {
    DeviceError::NotFound { name: volume.into() }
}

fn not_clear(volume: &str, unclear: Unclear) -> DeviceError {
    let name = volume.into();
    match unclear {
        Unclear::Several { count } => DeviceError::Ambiguous { name, count },
        Unclear::Newer { label } => DeviceError::Newer { name, label },
    }
}
