//! Why a step of a volume failed.

use crds::{Phase, PmemVolume};
use tokio::task::JoinError;

use super::record::RecordError;
use super::zero::pass::ZeroError;
use crate::devices::DeviceError;
use crate::layout::ListError;

/// Why a step of a volume failed. It is repeated later.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    #[error(transparent)]
    List(#[from] ListError),
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Not every byte is zero.
    #[error("cannot zero the volume")]
    Zero(#[from] ZeroError),
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The watch will show it soon.
    #[error("the volume's object is not there any more")]
    Gone,
    /// A panic in the code that works on a device.
    #[error("the thread that works on the device died")]
    Thread(#[from] JoinError),
}

impl StepError {
    /// The reason in the volume's condition: one word for programs.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::List(ListError::Devices(error)) => reason_of_device(error),
            Self::Device(error) => reason_of_device(error),
            Self::Zero(ZeroError::Stopped) => "Stopped",
            Self::Zero(ZeroError::Write(_) | ZeroError::Flush(_)) => "DeviceError",
            Self::Record(_) => "ApiError",
            Self::Gone => "Gone",
            Self::List(ListError::Thread(_)) | Self::Thread(_) => "InternalError",
        }
    }

    /// Whether it belongs into the conditions of `volume`. Not when the driver is merely shutting down, not when the status
    /// could not be written, and not when the devices could not be listed for a volume that was ready: it may still be.
    pub(super) fn is_about(&self, volume: &PmemVolume) -> bool {
        let phase = volume.status.as_ref().and_then(|status| status.phase);
        match self {
            Self::Zero(ZeroError::Stopped) | Self::Record(_) | Self::Gone => false,
            Self::List(_) => phase != Some(Phase::Ready),
            Self::Zero(ZeroError::Write(_) | ZeroError::Flush(_)) | Self::Device(_) | Self::Thread(_) => true,
        }
    }
}

fn reason_of_device(error: &DeviceError) -> &'static str {
    match error {
        DeviceError::Listing(_) => "ListingFailed",
        DeviceError::NotFound { .. } => "NamespaceNotFound",
        DeviceError::Ambiguous { .. } => "AmbiguousNamespace",
        DeviceError::Incomplete { .. } | DeviceError::LeftDisabled { .. } => "NamespaceDisabled",
        DeviceError::InUse { .. } => "InUse",
        DeviceError::NoSpace { .. } => "NoSpace",
        DeviceError::NotReady { .. } => "RegionNotReady",
        DeviceError::Newer { .. } => "NewerMark",
        DeviceError::WrongStage { .. } => "WrongStage",
        DeviceError::NotRecorded { .. } | DeviceError::NotRecordedInUse { .. } => "NotRecorded",
        DeviceError::NoMark { .. } => "NoMark",
        DeviceError::NotCovered { .. } => "BadBlocksNotCovered",
        DeviceError::NotWithdrawn(_) => "KnownZerosNotWithdrawn",
        DeviceError::Operation { .. } => "DeviceError",
    }
}
