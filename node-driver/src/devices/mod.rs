//! Regions, namespaces and their bytes.
//!
//! [`Devices`] is what the rest of the driver works on. Every call blocks: async code wraps it in
//! `tokio::task::spawn_blocking`.

mod emulated;
mod error;
mod inventory;
mod libndctl;
mod raw_bytes;

use crds::VolumeMode;
use placement::{Bytes, Mode, NumaNode, RegionId};
use std::path::PathBuf;

pub use emulated::{Attach, Emulated, EmulatedError, NotARegion, RegionFlag};
pub use error::{DeviceError, Source};
pub use inventory::{FoundMode, Inventory, Namespace, RegionFound};
pub use libndctl::LibNdctl;
pub use raw_bytes::{RawBytes, RawFile};

/// Persistent memory of this node.
///
/// Calls that change something act on one namespace, found by its name. They are safe to repeat after a crash at any
/// point: [`Devices::inventory`] shows how far the last one came. Implementations serialise what has to be.
pub trait Devices: Send + Sync + 'static {
    /// What `PmemNode.status.backend` says: "libndctl" or "emulated".
    fn backend(&self) -> &'static str;

    /// All regions and namespaces, as they are now.
    ///
    /// # Errors
    /// If anything could not be read: a partial look is never returned.
    fn inventory(&self) -> Result<Inventory, DeviceError>;

    /// The block device of the volume `name`, or none if there is no namespace of that name.
    ///
    /// # Errors
    /// [`DeviceError::Incomplete`] if the namespace has no block device in its mode (yet), [`DeviceError::Ambiguous`]
    /// if there are several of that name.
    fn find_volume(&self, name: &str) -> Result<Option<VolumeDevice>, DeviceError>;

    /// Makes a namespace that offers nothing yet. The kernel chooses where in the region.
    ///
    /// # Errors
    /// [`DeviceError::NoSpace`] if no hole is large enough, [`DeviceError::NotReady`] if the region is not ready.
    fn create(&self, new: &NewNamespace) -> Result<(), DeviceError>;

    /// Opens every byte of a namespace, whatever mode it was in, for this caller alone. The namespace offers nothing else
    /// until it is configured again.
    ///
    /// # Errors
    /// [`DeviceError::InUse`] while its block device is mounted or open.
    fn open_raw(&self, name: &str) -> Result<Box<dyn RawBytes>, DeviceError>;

    /// Makes the namespace offer its bytes in `mode`. Its raw bytes must be zero and nobody may hold them open.
    ///
    /// # Errors
    /// [`DeviceError::InUse`] while its block device is mounted or open.
    fn configure(&self, name: &str, mode: Mode) -> Result<(), DeviceError>;

    /// Gives the space of a namespace back to its region. Its raw bytes must be zero.
    ///
    /// # Errors
    /// [`DeviceError::InUse`] while its block device is mounted or open.
    fn destroy(&self, name: &str) -> Result<(), DeviceError>;
}

/// A namespace to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNamespace {
    /// Its name: that of the volume.
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
    /// How it presents its bytes.
    pub mode: VolumeMode,
    /// Size of the block device.
    pub usable: Bytes,
    /// The NUMA node of its region, if the platform says.
    pub numa: Option<NumaNode>,
    /// Whether files on it can be mapped directly: never true for sector mode or the emulated backend.
    pub dax: bool,
}
