//! `NodeUnstageVolume`: takes the mount of the whole node away.

use std::path::PathBuf;

use ::csi::v1::NodeUnstageVolumeRequest;
use tonic::Code;

use super::node::Host;
use super::paths::{PathError, resolve};
use super::request::{absolute, required};
use super::{BadRequest, Busy, Coded};
use crate::filesystem::FilesystemError;

/// What a call asks for.
#[derive(Clone, Debug)]
pub(super) struct Unstage {
    pub(super) volume: String,
    target: PathBuf,
}

/// Why a volume is still staged.
#[derive(Debug, thiserror::Error)]
pub enum UnstageError {
    /// The request is not allowed.
    #[error(transparent)]
    Request(#[from] BadRequest),
    /// Another call works on the volume.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The staging path cannot be looked at.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The kernel refused.
    #[error("cannot unstage volume {volume}")]
    Filesystem {
        /// The volume.
        volume: String,
        /// What failed.
        #[source]
        source: FilesystemError,
    },
    /// The work ended without an outcome.
    #[error("the work on the volume ended unexpectedly")]
    Lost(#[from] tokio::task::JoinError),
}

impl Coded for UnstageError {
    fn code(&self) -> Code {
        match self {
            Self::Request(error) => error.code(),
            Self::Busy(_) => Code::Aborted,
            Self::Path(_) | Self::Filesystem { .. } | Self::Lost(_) => Code::Internal,
        }
    }
}

impl Unstage {
    /// Reads a request.
    pub(super) fn parse(request: NodeUnstageVolumeRequest) -> Result<Self, BadRequest> {
        Ok(Self {
            volume: required("volume_id", request.volume_id)?,
            target: absolute("staging_target_path", request.staging_target_path)?,
        })
    }

    /// Does the work. A volume that is unknown or not staged is fine: it must be possible to clean up after it is gone.
    pub(super) fn run(&self, host: &Host) -> Result<(), UnstageError> {
        let unmounted = host.unmount_all(&resolve(&self.target)?);
        unmounted.map_err(|source| UnstageError::Filesystem {
            volume: self.volume.clone(),
            source,
        })
    }
}
