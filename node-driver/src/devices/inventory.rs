//! All regions and namespaces of a node at one moment.

use std::path::PathBuf;

use crds::{
    BusProvider, EraseProgress, ErasingVolume, ForeignNamespaces, KeptVolume, PersistenceDomain, RegionState,
    RegionStatus, VolumeMode,
};
use placement::{Alignment, Bytes, Extent, NumaNode, Offer, RegionId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::mark::{self, Mark, Owner, Stage};
use crate::known_zero::KnownZeros;

/// All regions and namespaces at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// Regions of type pmem, in the order in which the kernel lists them.
    pub regions: Vec<Region>,
    /// Namespaces that take space in them.
    pub namespaces: Vec<Namespace>,
    /// Labels of namespaces that the kernel does not show, and may show after a reboot.
    #[serde(skip)]
    pub unseen: Vec<UnseenLabel>,
    /// Why there is no region, and what to do; empty if there is one.
    #[serde(skip)]
    pub nothing: String,
}

/// A label on the modules of a region of a namespace that the kernel does not show: it could not be deleted with the namespace,
/// or the region is disabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnseenLabel {
    /// The name in it.
    pub name: String,
    /// The UUID in it.
    pub uuid: Uuid,
    /// The region that it is in.
    pub region: RegionId,
}

/// A region as it was listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Region {
    /// Stable over reboots.
    pub id: RegionId,
    /// What the kernel calls it now.
    pub device: String,
    /// How the kernel reaches its modules.
    pub bus: BusProvider,
    /// None if the platform does not report it.
    pub numa: Option<NumaNode>,
    /// Its raw bytes, free or not.
    pub size: Bytes,
    /// What the start and the size of each namespace are multiples of.
    pub alignment: Alignment,
    /// Over how many modules it is interleaved.
    pub ways: u32,
    /// What has to be flushed so that it survives a power loss.
    pub persistence_domain: PersistenceDomain,
    /// Whether volumes can be made in it.
    pub state: RegionState,
    /// Why it is not ready and what to do, or why not all that seems free is; empty if there is nothing to say.
    pub message: String,
    /// Where the kernel knows of bad blocks, by offset in the region, in use or not.
    pub bad: Vec<Extent>,
    /// What the kernel gives of the space between the namespaces.
    #[serde(skip_serializing_if = "Offer::is_everything")]
    pub offer: Offer,
}

/// A namespace as it was listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Namespace {
    /// The name in its label; empty if it has none.
    pub name: String,
    /// The UUID in its label.
    pub uuid: Option<Uuid>,
    /// Whether its label, with this name and UUID, is on each of its modules: only then it survives a reboot as it is.
    pub is_recorded: bool,
    /// What the kernel calls it now.
    pub device: String,
    /// The region it is in.
    pub region: RegionId,
    /// The raw bytes it takes.
    pub extent: Extent,
    /// How it presents its bytes now.
    pub mode: NamespaceMode,
    /// Its block device; none if it has none in its mode.
    pub block: Option<PathBuf>,
    /// Size of that block device.
    pub usable: Option<Bytes>,
}

/// Where a namespace is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The region it is in.
    pub region: RegionId,
    /// Its raw bytes in the region.
    pub extent: Extent,
}

/// How a namespace presents its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceMode {
    /// As they are: it was not configured, or not to the end.
    Raw,
    /// As a block device whose files can be mapped directly.
    Fsdax,
    /// As a block device whose sectors are written whole or not at all (BTT).
    Sector,
    /// As a character device. No volume has this mode.
    Devdax,
}

/// A namespace, however it was read.
pub(super) trait Labelled {
    /// The name and the UUID in its label.
    fn label(&self) -> (&str, Option<Uuid>);
}

impl Labelled for Namespace {
    fn label(&self) -> (&str, Option<Uuid>) {
        (&self.name, self.uuid)
    }
}

/// The namespace of `volume` among `all`, as [`Inventory::of_volume`] says.
pub(super) fn of_volume<'a, N: Labelled>(
    all: impl IntoIterator<Item = &'a N>,
    volume: &str,
) -> Result<Option<(&'a N, Stage)>, Unclear> {
    let mut found = Vec::new();
    for namespace in all {
        let (name, uuid) = namespace.label();
        // Whose it is takes longer to tell.
        if mark::volume_in(name) != volume {
            continue;
        }
        match mark::read(name, uuid) {
            Owner::Ours(mark) if mark.stage != Stage::Quarantined => found.push((namespace, mark.stage)),
            Owner::Newer { .. } => return Err(Unclear::Newer { label: name.to_owned() }),
            Owner::Ours(_) | Owner::Foreign => {}
        }
    }
    let used = found.iter().filter(|(_, stage)| *stage == Stage::InUse).count();
    if used > 1 {
        return Err(Unclear::Several { count: used });
    }
    Ok(found.into_iter().max_by_key(|(_, stage)| worth(*stage)))
}

/// Those of `all` that have the name of `volume` and no mark.
pub(super) fn unmarked<'a, N: Labelled + 'a>(
    all: impl IntoIterator<Item = &'a N>,
    volume: &str,
) -> impl Iterator<Item = &'a N> {
    all.into_iter().filter(move |namespace| {
        let (name, uuid) = namespace.label();
        name == volume && mark::read(name, uuid) == Owner::Foreign
    })
}

/// Why no namespace is taken for that of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unclear {
    /// Several that are in use have its mark.
    Several {
        /// How many.
        count: usize,
    },
    /// A newer version of the driver marked it in a way that this one does not know.
    Newer {
        /// The name in its label.
        label: String,
    },
}

impl NamespaceMode {
    /// The mode that a volume in it has, if volumes can have it.
    #[must_use]
    pub fn of_volume(self) -> Option<VolumeMode> {
        match self {
            Self::Fsdax => Some(VolumeMode::Fsdax),
            Self::Sector => Some(VolumeMode::Sector),
            Self::Raw | Self::Devdax => None,
        }
    }
}

impl Inventory {
    /// Has `zeros` forget what is not free any more.
    pub fn show_to(&self, zeros: &KnownZeros) {
        for region in &self.regions {
            let here = self.namespaces.iter().filter(|namespace| namespace.region == region.id);
            let taken: Vec<Extent> = here.map(|namespace| namespace.extent).collect();
            zeros.see(&region.id, &taken, &region.bad);
        }
    }

    /// The region `id`.
    #[must_use]
    pub fn region(&self, id: &RegionId) -> Option<&Region> {
        self.regions.iter().find(|region| region.id == *id)
    }

    fn named<'a>(&'a self, volume: &str) -> impl Iterator<Item = &'a Namespace> {
        let all = self.namespaces.iter();
        all.filter(move |namespace| mark::volume_in(&namespace.name) == volume)
    }

    /// The namespace of `volume` by its mark, and how far it has come. One in quarantine is no volume any more. Of several, which a
    /// region that was away may bring, it is the one that has come furthest: nobody has data in the others.
    ///
    /// # Errors
    /// There are several that are in use, or a newer version of the driver marked it.
    pub fn of_volume(&self, volume: &str) -> Result<Option<(&Namespace, Stage)>, Unclear> {
        of_volume(&self.namespaces, volume)
    }

    /// A namespace beside that of `volume` which nobody used, and which is in the way: the volume is handed out, in another region
    /// that was away when this one was made.
    #[must_use]
    pub fn spare_of(&self, volume: &str) -> Option<&Namespace> {
        let Ok(Some((of_volume, Stage::HandedOut | Stage::InUse))) = self.of_volume(volume) else {
            return None;
        };
        self.named(volume).find(|namespace| {
            let is_unused =
                |mark: Mark<'_>| mark.volume == volume && matches!(mark.stage, Stage::Making | Stage::HandedOut);
            !std::ptr::eq(*namespace, of_volume) && matches!(namespace.owner(), Owner::Ours(mark) if is_unused(mark))
        })
    }

    /// A namespace of `volume` in quarantine whose mark is not recorded. A power loss may bring it back as the volume that it was,
    /// so its mark has to be written again before another is made.
    #[must_use]
    pub fn unrecorded_quarantine(&self, volume: &str) -> Option<&Namespace> {
        self.named(volume).find(|namespace| {
            let is_its = |mark: Mark<'_>| mark.volume == volume && mark.stage == Stage::Quarantined;
            !namespace.is_recorded && matches!(namespace.owner(), Owner::Ours(mark) if is_its(mark))
        })
    }

    /// The region in which a namespace of `volume` may be after a reboot that the kernel does not show now. One in quarantine is
    /// no volume any more.
    #[must_use]
    pub fn region_of_unseen(&self, volume: &str) -> Option<&RegionId> {
        let is_its = |label: &&UnseenLabel| match mark::read(&label.name, Some(label.uuid)) {
            Owner::Ours(mark) => mark.volume == volume && mark.stage != Stage::Quarantined,
            Owner::Newer { volume: other } => other == volume,
            Owner::Foreign => false,
        };
        self.unseen.iter().find(is_its).map(|label| &label.region)
    }

    /// Whether a namespace has this UUID, or may have it after a reboot.
    #[must_use]
    pub fn has_uuid(&self, uuid: Uuid) -> bool {
        let is_shown = self.namespaces.iter().any(|namespace| namespace.uuid == Some(uuid));
        is_shown || self.unseen.iter().any(|label| label.uuid == uuid)
    }

    /// The namespace that a mark of `volume` with this stage is written to, and how far it has come.
    ///
    /// # Errors
    /// As [`Inventory::of_volume`].
    pub fn to_mark(&self, volume: &str, stage: Stage) -> Result<Option<(&Namespace, Stage)>, Unclear> {
        let unrecorded = self.unrecorded_quarantine(volume);
        match unrecorded.filter(|_| stage == Stage::Quarantined) {
            Some(namespace) => Ok(Some((namespace, stage))),
            None => self.of_volume(volume),
        }
    }

    /// The namespaces that were handed out or are in use and are disabled, with the ids of their volumes.
    pub fn disabled(&self) -> impl Iterator<Item = (&Namespace, &str)> {
        self.namespaces.iter().filter_map(|namespace| match namespace.owner() {
            Owner::Ours(Mark {
                volume,
                stage: Stage::HandedOut | Stage::InUse,
            }) if namespace.is_disabled() => Some((namespace, volume)),
            Owner::Ours(_) | Owner::Newer { .. } | Owner::Foreign => None,
        })
    }

    /// The namespaces that have the name of `volume` and no mark: made before there were marks, or by a stranger.
    pub fn unmarked<'a>(&'a self, volume: &str) -> impl Iterator<Item = &'a Namespace> {
        unmarked(&self.namespaces, volume)
    }

    /// The regions as a PmemNode reports them. Of the namespaces without a mark, those for which `is_earlier` is true are
    /// volumes made before there were marks, all others are foreign. All volumes in use count as kept: who knows of their
    /// objects takes the others out.
    pub fn to_status(&self, is_earlier: impl Fn(&Namespace) -> bool) -> Vec<RegionStatus> {
        let status = |region| self.one_to_status(region, &is_earlier);
        self.regions.iter().map(status).collect()
    }

    /// One region as a PmemNode reports it, as [`Inventory::to_status`] does; a namespace without a mark is foreign.
    #[must_use]
    pub fn region_status(&self, id: &RegionId) -> Option<RegionStatus> {
        let region = self.region(id)?;
        Some(self.one_to_status(region, &|_| false))
    }

    fn one_to_status(&self, region: &Region, is_earlier: &impl Fn(&Namespace) -> bool) -> RegionStatus {
        let mut status = region.to_status(self.free(region), self.message(region));
        let here = self.namespaces.iter().filter(|ns| ns.region == region.id);
        for namespace in here {
            namespace.add_to(&mut status, is_earlier(namespace));
        }
        status.quarantine = self.quarantine(region);
        status
    }

    /// The regions as placement sees them.
    #[must_use]
    pub fn to_placement(&self) -> placement::Node {
        RegionStatus::all_to_placement(&self.to_status(|_| false))
    }
}

impl Location {
    /// Of this namespace.
    #[must_use]
    pub fn of(namespace: &Namespace) -> Self {
        Self {
            region: namespace.region.clone(),
            extent: namespace.extent,
        }
    }
}

impl Namespace {
    /// Whose it is, by its label.
    #[must_use]
    pub fn owner(&self) -> Owner<'_> {
        mark::read(&self.name, self.uuid)
    }

    /// Whether its mark says that it is to be erased.
    pub(super) fn is_being_erased(&self) -> bool {
        matches!(self.owner(), Owner::Ours(mark) if mark.stage == Stage::Erasing)
    }

    /// Whether the kernel presents its bytes in no way: without its mode, one that is enabled has a block device.
    pub(super) fn is_disabled(&self) -> bool {
        self.mode == NamespaceMode::Raw && self.block.is_none()
    }

    /// Whether it is enabled again once it is marked with that stage. What was handed out has a mode; it was left disabled if it
    /// seems to have none.
    #[must_use]
    pub fn comes_up_as(&self, stage: Stage) -> bool {
        match stage {
            Stage::Erasing => false,
            Stage::Making | Stage::Quarantined => self.mode != NamespaceMode::Raw,
            Stage::HandedOut | Stage::InUse => true,
        }
    }

    fn add_to(&self, region: &mut RegionStatus, is_earlier: bool) {
        match self.owner() {
            Owner::Ours(mark) => self.add_ours(region, mark),
            Owner::Newer { volume } => region.volumes.push(volume.into()),
            Owner::Foreign if is_earlier => region.volumes.push(self.name.clone()),
            Owner::Foreign => {
                region.foreign.count += 1;
                region.foreign.bytes = region.foreign.bytes.plus(self.extent.size);
            }
        }
    }

    fn add_ours(&self, region: &mut RegionStatus, mark: Mark<'_>) {
        let name = || mark.volume.to_owned();
        match mark.stage {
            // For no volume.
            Stage::Making if self.is_sweep() => {}
            Stage::Making => region.volumes.push(name()),
            Stage::HandedOut | Stage::InUse => {
                region.volumes.push(name());
                region.kept.push(KeptVolume {
                    name: name(),
                    mode: self.mode.of_volume(),
                    usable: self.usable,
                    footprint: self.extent,
                    unused: mark.stage == Stage::HandedOut,
                });
            }
            Stage::Erasing => {
                let (done, total) = (Bytes::ZERO, self.extent.size);
                region.erasing.push(ErasingVolume {
                    name: name(),
                    progress: EraseProgress { done, total },
                    over_at: None,
                    message: String::new(),
                });
            }
            // Told beside the bad blocks that no namespace covers yet.
            Stage::Quarantined => {}
        }
    }
}

/// Which of several namespaces of one volume counts: that of which somebody may have data. What is to be erased comes before what
/// is being made, as it did when there was one.
fn worth(stage: Stage) -> u8 {
    match stage {
        Stage::Quarantined => 0,
        Stage::Making => 1,
        Stage::Erasing => 2,
        Stage::HandedOut => 3,
        Stage::InUse => 4,
    }
}

impl Region {
    fn to_status(&self, free: Vec<Extent>, message: String) -> RegionStatus {
        RegionStatus {
            id: self.id.clone(),
            device: self.device.clone(),
            bus: self.bus,
            numa_node: self.numa,
            size: self.size,
            alignment: self.alignment,
            ways: self.ways,
            persistence_domain: self.persistence_domain,
            state: self.state,
            message,
            free,
            to_zero: None,
            volumes: Vec::new(),
            kept: Vec::new(),
            erasing: Vec::new(),
            quarantine: Vec::new(),
            foreign: ForeignNamespaces::default(),
        }
    }
}
