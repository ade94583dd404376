//! The calls that only read: GetCapacity, `ControllerGetVolume`, `ListVolumes` and `ValidateVolumeCapabilities`.

mod capacity;
mod list;
mod validate;
mod volume;

pub use capacity::CapacityError;
pub use list::ListError;
pub use volume::ReadError;
