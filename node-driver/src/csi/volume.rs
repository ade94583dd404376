//! The device of the volume that a call names.

use std::path::PathBuf;

use ::csi::RpcError;
use tonic::Code;

use super::host::Host;
use crate::devices::{Dax, DeviceError, Stage, VolumeDevice};
use crate::filesystem::{DeviceNumber, FilesystemError, PathTarget};

/// Why there is no device for a volume.
#[derive(Debug, thiserror::Error)]
pub(super) enum VolumeError {
    #[error("the kernel shows no namespace of volume {0} on this node: see `kubectl describe pmemvolume {0}`")]
    Unknown(String),
    /// It may be a stranger's, or made before there were marks.
    #[error(
        "the namespace with the name of volume {0} has no mark: if it is the volume, made by an earlier version, it can be used \
         as soon as the driver has heard of it from the API server"
    )]
    Unmarked(String),
    #[error("volume {volume} cannot be used: it is {stage}")]
    NotHandedOut { volume: String, stage: Stage },
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
            Self::NotABlockDevice { .. } | Self::Unmarked(_) | Self::NotHandedOut { .. } => Code::Unavailable,
            Self::NoDax { .. } => Code::FailedPrecondition,
        }
    }
}

fn code_of_device(error: &DeviceError) -> Code {
    match error {
        DeviceError::NotFound { .. } => Code::NotFound,
        DeviceError::Ambiguous { .. }
        | DeviceError::NotReady { .. }
        | DeviceError::Newer { .. }
        | DeviceError::WrongStage { .. }
        | DeviceError::NoMark { .. } => Code::FailedPrecondition,
        DeviceError::Listing(_)
        | DeviceError::Incomplete { .. }
        | DeviceError::InUse { .. }
        | DeviceError::NoSpace { .. }
        | DeviceError::NotCovered { .. } => Code::Unavailable,
        DeviceError::Operation { .. }
        | DeviceError::NotRecorded { .. }
        | DeviceError::NotRecordedInUse { .. }
        | DeviceError::LeftDisabled { .. }
        | DeviceError::NotWithdrawn(_) => Code::Internal,
    }
}

/// What a volume can be used for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Nobody had it yet: it is formatted, and marked as in use, before anybody gets it.
    First,
    /// It has somebody's data.
    Again,
}

/// A volume that a call may work on.
#[derive(Clone, Debug)]
pub(super) struct FoundVolume {
    pub(super) device: VolumeDevice,
    pub(super) number: DeviceNumber,
    pub(super) usage: Use,
}

/// The volume with its device, if that offers what the volume's mode promises.
pub(super) fn find_usable(host: &Host, volume: &str) -> Result<FoundVolume, VolumeError> {
    let found = find(host, volume)?;
    match found.device.dax {
        Dax::Offered | Dax::NotOffered => Ok(found),
        Dax::Missing => Err(VolumeError::NoDax {
            volume: volume.to_owned(),
            path: found.device.path,
        }),
    }
}

/// The volume with its device.
pub(super) fn find(host: &Host, volume: &str) -> Result<FoundVolume, VolumeError> {
    let found = host.devices.find_volume(volume);
    let found = found.map_err(|source| VolumeError::Device {
        volume: volume.to_owned(),
        source,
    })?;
    let device = found.ok_or_else(|| VolumeError::Unknown(volume.to_owned()))?;
    let usage = usage(host, volume, device.stage)?;
    let target = host.filesystems.stat(&device.path);
    let target = target.map_err(|source| VolumeError::Stat {
        volume: volume.to_owned(),
        source,
    })?;
    match target {
        Some(PathTarget::BlockDevice(number)) => Ok(FoundVolume { device, number, usage }),
        Some(PathTarget::OnDevice(_)) | None => Err(VolumeError::NotABlockDevice {
            volume: volume.to_owned(),
            path: device.path,
        }),
    }
}

fn usage(host: &Host, volume: &str, stage: Option<Stage>) -> Result<Use, VolumeError> {
    match stage {
        Some(Stage::HandedOut) => Ok(Use::First),
        Some(Stage::InUse) => Ok(Use::Again),
        None if host.earlier.contains(volume) => Ok(Use::Again),
        None => Err(VolumeError::Unmarked(volume.to_owned())),
        Some(stage @ (Stage::Making | Stage::Erasing | Stage::Quarantined)) => Err(VolumeError::NotHandedOut {
            volume: volume.to_owned(),
            stage,
        }),
    }
}
