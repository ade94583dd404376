//! `NodeUnpublishVolume`: takes a volume away from one pod.

use std::path::PathBuf;

use ::csi::v1::NodeUnpublishVolumeRequest;
use tonic::Code;

use super::node::Host;
use super::paths::{PathError, remove, resolve};
use super::request::{absolute, required};
use super::{BadRequest, Busy, Coded};
use crate::filesystem::FilesystemError;

/// What a call asks for.
#[derive(Clone, Debug)]
pub(super) struct Unpublish {
    pub(super) volume: String,
    target: PathBuf,
}

/// Why a volume is still published.
#[derive(Debug, thiserror::Error)]
pub enum UnpublishError {
    /// The request is not allowed.
    #[error(transparent)]
    Request(#[from] BadRequest),
    /// Another call works on the volume.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The target path cannot be looked at or removed.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The kernel refused.
    #[error("cannot unpublish volume {volume}")]
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

impl Coded for UnpublishError {
    fn code(&self) -> Code {
        match self {
            Self::Request(error) => error.code(),
            Self::Busy(_) => Code::Aborted,
            Self::Path(_) | Self::Filesystem { .. } | Self::Lost(_) => Code::Internal,
        }
    }
}

impl Unpublish {
    /// Reads a request.
    pub(super) fn parse(request: NodeUnpublishVolumeRequest) -> Result<Self, BadRequest> {
        Ok(Self {
            volume: required("volume_id", request.volume_id)?,
            target: absolute("target_path", request.target_path)?,
        })
    }

    /// Does the work: what was made for the pod goes away, an empty directory or a file. A volume that is unknown or not
    /// published is fine: it must be possible to clean up after it is gone.
    pub(super) fn run(&self, host: &Host) -> Result<(), UnpublishError> {
        let target = resolve(&self.target)?;
        let unmounted = host
            .unmount_all(&target)
            .and_then(|()| host.filesystems.clear_interrupted_bind(&target));
        unmounted.map_err(|source| UnpublishError::Filesystem {
            volume: self.volume.clone(),
            source,
        })?;
        Ok(remove(&target)?)
    }
}
