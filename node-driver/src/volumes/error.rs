//! Why a volume cannot go on.

use crds::{Phase, PmemVolume};
use tokio::task::JoinError;

use super::record::RecordError;
use super::zero::ZeroError;
use crate::devices::DeviceError;
use crate::layout::LookError;

/// Why a volume cannot go on for now.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The devices could not be looked at.
    #[error(transparent)]
    Look(#[from] LookError),
    /// A step on a device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Not every byte is zero.
    #[error("cannot zero the volume")]
    Zero(#[from] ZeroError),
    /// The state could not be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The thread that did it died.
    #[error("the thread that works on the device died")]
    Thread(#[from] JoinError),
}

impl WorkError {
    /// One word for programs.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Look(LookError::Devices(error)) | Self::Device(error) => of_device(error),
            Self::Zero(ZeroError::Stopped) => "Stopped",
            Self::Zero(ZeroError::BadBlocks { .. }) => "BadBlocks",
            Self::Zero(ZeroError::Flush(_)) => "DeviceError",
            Self::Record(_) => "ApiError",
            Self::Look(LookError::Thread(_)) | Self::Thread(_) => "InternalError",
        }
    }

    /// Whether it came after all bytes were written, so that trying again costs as much.
    pub(super) fn is_costly(&self) -> bool {
        match self {
            Self::Zero(ZeroError::BadBlocks { .. }) => true,
            Self::Zero(ZeroError::Stopped | ZeroError::Flush(_))
            | Self::Look(_)
            | Self::Device(_)
            | Self::Record(_)
            | Self::Thread(_) => false,
        }
    }

    /// Whether people who look at `volume` should know. Not when the driver is merely shutting down, not when the state could
    /// not be written, and not when a look failed at a volume that was fine: nothing is known then.
    pub(super) fn is_about(&self, volume: &PmemVolume) -> bool {
        let phase = volume.status.as_ref().and_then(|status| status.phase);
        match self {
            Self::Zero(ZeroError::Stopped) | Self::Record(_) => false,
            Self::Look(_) => phase != Some(Phase::Ready),
            Self::Zero(ZeroError::BadBlocks { .. } | ZeroError::Flush(_)) | Self::Device(_) | Self::Thread(_) => true,
        }
    }
}

fn of_device(error: &DeviceError) -> &'static str {
    match error {
        DeviceError::Listing(_) => "ListingFailed",
        DeviceError::NotFound { .. } => "NamespaceGone",
        DeviceError::Ambiguous { .. } => "AmbiguousNamespace",
        DeviceError::Incomplete { .. } => "NamespaceDisabled",
        DeviceError::InUse { .. } => "InUse",
        DeviceError::NoSpace { .. } => "NoSpace",
        DeviceError::NotReady { .. } => "RegionNotReady",
        DeviceError::Operation { .. } => "DeviceError",
    }
}
