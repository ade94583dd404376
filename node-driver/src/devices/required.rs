//! What a call needs of an inventory, and the error if that is not there: the same for each backend that has one.

use std::path::{Path, PathBuf};

use crds::{RegionState, VolumeMode};
use placement::{Bytes, NumaNode, RegionId};

use super::backend::{Dax, EarlierVolume, VolumeDevice};
use super::error::DeviceError;
use super::inventory::{Inventory, Labelled, Namespace, NamespaceMode, Region, Unclear, of_volume, unmarked};
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
        let Some((found, stage)) = find(&self.namespaces, volume)? else {
            return Ok(None);
        };
        let presented = Presented {
            mode: found.mode,
            block: found.block.clone(),
            usable: found.usable,
            numa: self.region(&found.region).and_then(|region| region.numa),
        };
        let device = presented.volume_device(volume, stage, found.is_recorded, has_dax)?;
        Ok(Some(device))
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
}

/// The namespace of `volume` among `all`, and its stage; none if it has no mark.
pub(super) fn find<'a, N: Labelled>(all: &'a [N], volume: &str) -> Result<Option<(&'a N, Option<Stage>)>, DeviceError> {
    let marked = of_volume(all, volume).map_err(|unclear| not_clear(volume, unclear))?;
    if let Some((found, stage)) = marked {
        return Ok(Some((found, Some(stage))));
    }
    let unmarked: Vec<&N> = unmarked(all, volume).collect();
    match unmarked[..] {
        [] => Ok(None),
        [only] => Ok(Some((only, None))),
        _ => Err(DeviceError::Ambiguous {
            name: volume.into(),
            count: unmarked.len(),
        }),
    }
}

/// What somebody who uses a namespace finds.
pub(super) struct Presented {
    pub(super) mode: NamespaceMode,
    pub(super) block: Option<PathBuf>,
    pub(super) usable: Option<Bytes>,
    pub(super) numa: Option<NumaNode>,
}

impl Presented {
    /// It as the device of `volume`. `has_dax` is asked about a block device whose mode promises DAX.
    pub(super) fn volume_device(
        self,
        volume: &str,
        stage: Option<Stage>,
        is_recorded: bool,
        has_dax: impl FnOnce(&Path) -> bool,
    ) -> Result<VolumeDevice, DeviceError> {
        let (Some(mode), Some(path), Some(usable)) = (self.mode.of_volume(), self.block, self.usable) else {
            return Err(DeviceError::Incomplete { name: volume.into() });
        };
        let dax = match mode {
            VolumeMode::Fsdax => Dax::promised(has_dax(&path)),
            VolumeMode::Sector => Dax::NotOffered,
        };
        Ok(VolumeDevice {
            path,
            stage,
            is_recorded,
            mode,
            usable,
            numa: self.numa,
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
