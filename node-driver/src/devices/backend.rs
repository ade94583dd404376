//! What a backend has to do.

use std::path::PathBuf;

use crds::VolumeMode;
use placement::{Bytes, Mode, NumaNode, RegionId};

use super::error::DeviceError;
use super::inventory::Inventory;
use super::raw_bytes::RawBytes;

/// Persistent memory of this node.
///
/// Calls that change something act on one namespace, found by its name. They are safe to repeat after a crash at any
/// point: [`Devices::inventory`] shows how far the last one came. Implementations serialise what has to be.
pub trait Devices: Send + Sync + 'static {
    /// The value of `PmemNode.status.backend`: `libndctl` or `emulated`.
    fn backend(&self) -> &'static str;

    /// All regions and namespaces, as they are now.
    ///
    /// # Errors
    /// Anything could not be read: a partial inventory is never returned.
    fn inventory(&self) -> Result<Inventory, DeviceError>;

    /// The block device of the volume `name`, or none if no namespace has that name.
    ///
    /// # Errors
    /// [`DeviceError::Incomplete`] if the namespace has no block device in its mode (yet), [`DeviceError::Ambiguous`]
    /// if several have that name.
    fn find_volume(&self, name: &str) -> Result<Option<VolumeDevice>, DeviceError>;

    /// Makes a namespace without a mode: it has no block device yet. The kernel chooses where in the region.
    ///
    /// # Errors
    /// [`DeviceError::NoSpace`] if no hole is large enough, [`DeviceError::NotReady`] if the region is not ready.
    fn create(&self, new: &NewNamespace) -> Result<(), DeviceError>;

    /// Opens every raw byte of a namespace, whatever mode it was in, for this caller alone. The namespace loses its mode and
    /// its block device until it is configured again.
    ///
    /// # Errors
    /// [`DeviceError::InUse`] while its block device is mounted or open.
    fn open_raw(&self, name: &str) -> Result<Box<dyn RawBytes>, DeviceError>;

    /// Gives the namespace `mode`, and with it a block device. Its raw bytes must be zero and nobody may have them open.
    ///
    /// # Errors
    /// [`DeviceError::InUse`] while its block device is mounted or open.
    fn configure(&self, name: &str, mode: Mode) -> Result<(), DeviceError>;

    /// Destroys a namespace, which frees its space. Its raw bytes must be zero.
    ///
    /// # Errors
    /// [`DeviceError::InUse`] while its block device is mounted or open.
    fn destroy(&self, name: &str) -> Result<(), DeviceError>;
}

/// A namespace to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNamespace {
    /// The name of the volume.
    pub name: String,
    /// The region it goes to.
    pub region: RegionId,
    /// Raw bytes, as `placement::Mode::footprint` computes them.
    pub footprint: Bytes,
}

/// The block device of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeDevice {
    /// Path of the block device, such as `/dev/pmem0`.
    pub path: PathBuf,
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
