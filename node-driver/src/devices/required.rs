//! What a call needs of an inventory, and the error if that is not there: the same for each backend that has one.

use std::path::{Path, PathBuf};

use crds::{RegionState, VolumeMode};
use placement::{Bytes, Extent, NumaNode, RegionId};

use super::backend::{Dax, EarlierVolume, VolumeDevice};
use super::error::DeviceError;
use super::inventory::{Inventory, Labelled, Location, Namespace, NamespaceMode, Region, Unclear, of_volume, unmarked};
use super::mark::{Owner, Stage};

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

    /// The namespace that gets the mark `stage` ([`Inventory::to_mark`]).
    ///
    /// # Errors
    /// There is none, it is not clear which it is, or it may not go from its stage to this one.
    pub fn existing_to_mark(&self, volume: &str, stage: Stage) -> Result<&Namespace, DeviceError> {
        let found = self.to_mark(volume, stage);
        allowed(found, volume, "mark", |now| now.may_become(stage))
    }

    /// The namespace of a volume that gets a mode.
    ///
    /// # Errors
    /// There is none, it is not clear which it is, or it was handed out.
    pub fn existing_to_configure(&self, volume: &str) -> Result<&Namespace, DeviceError> {
        allowed(self.of_volume(volume), volume, "configure", |now| now == Stage::Making)
    }

    /// The namespace of a volume whose bytes are read or written, whatever is in it.
    ///
    /// # Errors
    /// There is none, it is not clear which it is, or somebody may have data in it.
    pub fn existing_to_open_raw(&self, volume: &str) -> Result<&Namespace, DeviceError> {
        allowed(
            self.of_volume(volume),
            volume,
            "open all bytes of",
            Stage::is_expendable,
        )
    }

    /// The namespace of a volume that is being erased.
    ///
    /// # Errors
    /// There is none, it is not clear which it is, or it is not to be erased.
    pub fn existing_to_erase(&self, volume: &str) -> Result<&Namespace, DeviceError> {
        allowed(self.of_volume(volume), volume, "erase", |now| now == Stage::Erasing)
    }

    /// The namespace of a volume that is destroyed: one that nobody uses beside its own ([`Inventory::spare_of`]), or else its own.
    ///
    /// # Errors
    /// There is none, it is not clear which it is, or somebody may have data in it.
    pub fn existing_to_destroy(&self, volume: &str) -> Result<&Namespace, DeviceError> {
        match self.spare_of(volume) {
            Some(spare) => Ok(spare),
            None => allowed(self.of_volume(volume), volume, "destroy", Stage::is_expendable),
        }
    }

    /// Those bytes of a namespace that is destroyed that were written over: they are `zero`, also after a power loss. Those that
    /// were only read, before anybody was handed them, may have been zeroed by somebody who did not flush that.
    #[must_use]
    pub fn erased(found: &Namespace, zero: &[Location]) -> Vec<Extent> {
        let is_written_over = |zero: &&Location| match found.owner() {
            Owner::Ours(_) if found.is_being_erased() => **zero == Location::of(found),
            Owner::Ours(_) if found.is_sweep() => zero.region == found.region && found.extent.contains(zero.extent),
            Owner::Ours(_) | Owner::Newer { .. } | Owner::Foreign => false,
        };
        let zero = zero.iter().filter(is_written_over);
        zero.map(|zero| zero.extent).collect()
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

/// The namespace that was found, if its stage allows what is to be done.
fn allowed<'a>(
    found: Result<Option<(&'a Namespace, Stage)>, Unclear>,
    volume: &str,
    action: &'static str,
    is_allowed: impl FnOnce(Stage) -> bool,
) -> Result<&'a Namespace, DeviceError> {
    let found = found.map_err(|unclear| not_clear(volume, unclear))?;
    match found.ok_or_else(|| not_found(volume))? {
        (found, stage) if is_allowed(stage) => Ok(found),
        (_, stage) => Err(DeviceError::WrongStage {
            action,
            name: volume.into(),
            stage,
        }),
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
