//! The device of the volume that a call names.

use std::path::PathBuf;

use tonic::Code;

use super::Coded;
use crate::devices::{DeviceError, Devices, VolumeDevice};
use crate::filesystem::{DeviceNumber, FilesystemError, Filesystems, Found};

/// Why there is no device for a volume.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// There is no such volume on this node.
    #[error("there is no volume {0} on this node")]
    Unknown(String),
    /// The devices do not say.
    #[error("cannot find the device of volume {volume}")]
    Device {
        /// The volume.
        volume: String,
        /// Why not.
        #[source]
        source: DeviceError,
    },
    /// The device cannot be looked at.
    #[error("cannot look at the device of volume {volume}")]
    Look {
        /// The volume.
        volume: String,
        /// Why not.
        #[source]
        source: FilesystemError,
    },
    /// There is no block device at the path of the device.
    #[error("{} of volume {volume} is not a block device", path.display())]
    NotABlockDevice {
        /// The volume.
        volume: String,
        /// The path.
        path: PathBuf,
    },
}

impl Coded for VolumeError {
    /// UNAVAILABLE tells the kubelet that the same call may succeed later, and that nothing was done.
    fn code(&self) -> Code {
        match self {
            Self::Unknown(_) => Code::NotFound,
            Self::Device { source, .. } => code_of_device(source),
            Self::Look { .. } => Code::Internal,
            Self::NotABlockDevice { .. } => Code::Unavailable,
        }
    }
}

fn code_of_device(error: &DeviceError) -> Code {
    match error {
        DeviceError::NotFound { .. } => Code::NotFound,
        DeviceError::Ambiguous { .. } | DeviceError::NotReady { .. } => Code::FailedPrecondition,
        DeviceError::Listing(_)
        | DeviceError::Incomplete { .. }
        | DeviceError::InUse { .. }
        | DeviceError::NoSpace { .. } => Code::Unavailable,
        DeviceError::Operation { .. } => Code::Internal,
    }
}

/// The device of a volume and its number.
pub(super) fn find(
    devices: &dyn Devices,
    filesystems: &dyn Filesystems,
    volume: &str,
) -> Result<(VolumeDevice, DeviceNumber), VolumeError> {
    let found = devices.find_volume(volume);
    let found = found.map_err(|source| VolumeError::Device {
        volume: volume.to_owned(),
        source,
    })?;
    let device = found.ok_or_else(|| VolumeError::Unknown(volume.to_owned()))?;
    let looked = filesystems.stat(&device.path);
    let looked = looked.map_err(|source| VolumeError::Look {
        volume: volume.to_owned(),
        source,
    })?;
    match looked {
        Some(Found::Block(number)) => Ok((device, number)),
        Some(Found::On(_)) | None => Err(VolumeError::NotABlockDevice {
            volume: volume.to_owned(),
            path: device.path,
        }),
    }
}
