//! What a backend has to do.

use std::path::PathBuf;

use crds::VolumeMode;
use placement::{Bytes, Extent, Mode, NumaNode, RegionId};

use super::error::DeviceError;
use super::inventory::{Inventory, Location};
use super::mark::Stage;
use super::raw_bytes::RawBytes;

/// Persistent memory of this node.
///
/// Calls that change something act on the namespace of one volume, found by its mark ([`Inventory::of_volume`]). They are safe
/// to repeat after a crash at any point: [`Devices::inventory`] shows how far the last one came. Implementations serialise what
/// has to be. They refuse what the mark forbids, whoever asks: nothing that was handed out is opened raw, configured or
/// destroyed ([`DeviceError::WrongStage`]).
pub trait Devices: Send + Sync + 'static {
    /// The value of `PmemNode.status.backend`: `libndctl` or `emulated`.
    fn backend(&self) -> &'static str;

    /// All regions and namespaces, as they are now. A region that cannot be read is among them, as one whose namespaces are not
    /// shown ([`RegionState::NotSeen`](crds::RegionState::NotSeen)).
    ///
    /// # Errors
    /// It is not known which regions there are, or they changed all the time: nothing that is there is left out.
    fn inventory(&self) -> Result<Inventory, DeviceError>;

    /// Brings up namespaces that were handed out or are in use and are [`LeftDisabled`](super::LeftDisabled), in the mode that is
    /// written in them. One that cannot be brought up is logged, and is tried again by the next call.
    ///
    /// # Errors
    /// As [`Devices::inventory`]: nothing was brought up.
    fn bring_up(&self) -> Result<(), DeviceError>;

    /// The block device of `volume`, or none if it has no namespace. One that has its name but no mark may have been made
    /// before there were marks, or by a stranger: its stage is none.
    ///
    /// # Errors
    /// [`DeviceError::Incomplete`] if the namespace has no block device in its mode (yet), [`DeviceError::Ambiguous`] if there
    /// are several.
    fn find_volume(&self, volume: &str) -> Result<Option<VolumeDevice>, DeviceError>;

    /// Makes a namespace with the mark [`Stage::Making`] and without a mode: it has no block device yet. The kernel chooses
    /// where in the region, but nothing that is known to be bad ([`Devices::quarantine`]). What is swept there
    /// ([`sweep_id`](super::sweep_id)) is destroyed first. Returns those of its bytes that are known to be zero, as parts of the region.
    ///
    /// # Errors
    /// [`DeviceError::NoSpace`] if no hole is large enough, [`DeviceError::NotReady`] if the region is not ready,
    /// [`DeviceError::InUse`] while somebody sweeps there.
    fn create(&self, new: &NewNamespace) -> Result<Vec<Extent>, DeviceError>;

    /// The free bytes of a ready region that are not known to be zero.
    ///
    /// # Errors
    /// As [`Devices::inventory`]; [`DeviceError::NotReady`] if it is not ready.
    fn unknown(&self, region: &RegionId) -> Result<Vec<Extent>, DeviceError>;

    /// Puts namespaces with the mark [`Stage::Quarantined`] over the bad blocks in the free space of a region
    /// ([`Inventory::exposed`]). Nothing if there are none.
    ///
    /// # Errors
    /// [`DeviceError::NotCovered`] if somebody else changed the region meanwhile, [`DeviceError::NotReady`] if it is not ready.
    fn quarantine(&self, region: &RegionId) -> Result<(), DeviceError>;

    /// Changes the mark of a namespace. On return it is on the device, read back, and survives a power loss. A namespace that
    /// has a mode keeps it and its block device, unless it is to be erased. One in quarantine whose mark is not recorded comes
    /// first, if it is to be in quarantine ([`Inventory::to_mark`]).
    ///
    /// # Errors
    /// [`DeviceError::InUse`] while somebody uses its block device, [`DeviceError::WrongStage`] if it may not become that,
    /// [`DeviceError::NotRecorded`] if the device does not show the new mark, [`DeviceError::LeftDisabled`] if it is disabled now.
    fn mark(&self, volume: &str, stage: Stage) -> Result<(), DeviceError>;

    /// Marks a namespace that was made before there were marks: the one with the name of the volume at this place, and no
    /// other. Its caller knows from the cluster that it is the volume.
    ///
    /// # Errors
    /// As [`Devices::mark`]; [`DeviceError::NotFound`] if there is none without a mark at that place.
    fn mark_earlier(&self, earlier: &EarlierVolume, stage: Stage) -> Result<(), DeviceError>;

    /// Opens every raw byte of a namespace that is being made or erased, whatever mode it was in, for this caller alone. The
    /// namespace loses its mode and its block device until it is configured again.
    ///
    /// # Errors
    /// [`DeviceError::InUse`] while somebody uses its block device.
    fn open_raw(&self, volume: &str) -> Result<Box<dyn RawBytes>, DeviceError>;

    /// Notes how many bytes from its first on were written over of a namespace that is being erased. They are flushed. What was
    /// noted last is what [`RawBytes::erased`] tells who opens it again, after a crash as well, as long as all labels are explained by
    /// what this driver did.
    ///
    /// # Errors
    /// There is none of the volume that is being erased, or as [`Devices::inventory`].
    fn note_erased(&self, volume: &str, size: Bytes) -> Result<(), DeviceError>;

    /// Gives a namespace that is being made `mode`, and with it a block device. Its raw bytes must be zero and nobody may have
    /// them open.
    ///
    /// # Errors
    /// [`DeviceError::InUse`] while somebody uses its block device.
    fn configure(&self, volume: &str, mode: Mode) -> Result<(), DeviceError>;

    /// Destroys a namespace that is being made or erased, which frees its space: first one that is in the way beside that of the
    /// volume ([`Inventory::spare_of`]). `zero`: where it is, if each of its bytes is zero, also after a power loss, and nobody was
    /// given them since; who gets them next need not read them then. Of what was swept, parts of it.
    ///
    /// # Errors
    /// [`DeviceError::InUse`] while somebody uses its block device.
    fn destroy(&self, volume: &str, zero: &[Location]) -> Result<(), DeviceError>;
}

/// A namespace to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNamespace {
    /// The id of the volume.
    pub volume: String,
    /// The region it goes to.
    pub region: RegionId,
    /// Raw bytes, as `placement::Mode::footprint` computes them.
    pub footprint: Bytes,
}

/// A volume that was made before there were marks, where the cluster says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlierVolume {
    /// The id of the volume, and the name in the label.
    pub volume: String,
    /// The region it is in.
    pub region: RegionId,
    /// The raw bytes it takes.
    pub extent: Extent,
}

/// The block device of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeDevice {
    /// Path of the block device, such as `/dev/pmem0`.
    pub path: PathBuf,
    /// How far it has come; none if its namespace has no mark.
    pub stage: Option<Stage>,
    /// Whether its label is on the device as it is shown: only then it is known after a power loss how far it has come.
    pub is_recorded: bool,
    /// The mode of its namespace.
    pub mode: VolumeMode,
    /// Size of the block device.
    pub usable: Bytes,
    /// The NUMA node of its region; none if the platform does not report it.
    pub numa: Option<NumaNode>,
    /// Whether files on it can be mapped directly.
    pub dax: Dax,
}

/// Whether files on a device can be mapped directly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dax {
    /// Backend and mode promise none: sector mode, and the emulated backend.
    NotOffered,
    /// They do, and the kernel shows it.
    Offered,
    /// They do, but the kernel shows none: nothing is to be mounted or published.
    Missing,
}

impl Dax {
    /// What is promised is not there, unless the device `has_dax`.
    #[must_use]
    pub fn promised(has_dax: bool) -> Self {
        if has_dax { Self::Offered } else { Self::Missing }
    }
}
