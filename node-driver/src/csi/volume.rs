//! The device of the volume that a call names.

use std::path::PathBuf;

use ::csi::RpcError;
use tonic::Code;

use crate::devices::{Dax, DeviceError, Devices, VolumeDevice};
use crate::filesystem::{DeviceNumber, FilesystemError, Filesystems, PathTarget};

/// Why there is no device for a volume.
#[derive(Debug, thiserror::Error)]
pub(super) enum VolumeError {
    #[error("there is no volume {0} on this node")]
    Unknown(String),
    #[error("cannot find the device of volume {volume}")]
    Device {
        volume: String,
        #[source]
        source: DeviceError,
    },
    #[error("cannot stat the device of volume {volume}")]
    Stat {
        volume: String,
        #[source]
        source: FilesystemError,
    },
    #[error("{} of volume {volume} is not a block device", path.display())]
    NotABlockDevice { volume: String, path: PathBuf },
    /// The kernel starts fsdax namespaces with DAX, unless it was built without.
    #[error(
        "{} of volume {volume} has no DAX (its queue/dax is not 1), which the volume's mode fsdax promises: it is not mounted \
         without. Does the kernel of the node have CONFIG_FS_DAX? See dmesg there",
        path.display()
    )]
    NoDax { volume: String, path: PathBuf },
}

impl RpcError for VolumeError {
    /// UNAVAILABLE means that the same call may succeed later, and that nothing was done.
    fn code(&self) -> Code {
        match self {
            Self::Unknown(_) => Code::NotFound,
            Self::Device { source, .. } => code_of_device(source),
            Self::Stat { .. } => Code::Internal,
            Self::NotABlockDevice { .. } => Code::Unavailable,
            Self::NoDax { .. } => Code::FailedPrecondition,
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

/// The device of a volume and its number, if it offers what the volume's mode promises.
pub(super) fn find_usable(
    devices: &dyn Devices,
    filesystems: &dyn Filesystems,
    volume: &str,
) -> Result<(VolumeDevice, DeviceNumber), VolumeError> {
    let (device, number) = find(devices, filesystems, volume)?;
    match device.dax {
        Dax::Offered | Dax::NotOffered => Ok((device, number)),
        Dax::Missing => Err(VolumeError::NoDax {
            volume: volume.to_owned(),
            path: device.path,
        }),
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
    let target = filesystems.stat(&device.path);
    let target = target.map_err(|source| VolumeError::Stat {
        volume: volume.to_owned(),
        source,
    })?;
    match target {
        Some(PathTarget::BlockDevice(number)) => Ok((device, number)),
        Some(PathTarget::OnDevice(_)) | None => Err(VolumeError::NotABlockDevice {
            volume: volume.to_owned(),
            path: device.path,
        }),
    }
}
