//! `NodeUnstageVolume`: takes the mount of the whole node away.

use std::path::PathBuf;

use ::csi::v1::NodeUnstageVolumeRequest;
use ::csi::{Busy, RpcError};
use tonic::Code;

use super::host::Host;
use super::request::{BadRequest, absolute, required};
use crate::filesystem::FilesystemError;

/// A checked request.
#[derive(Clone, Debug)]
pub(super) struct NodeUnstageVolume {
    pub(super) volume: String,
    target: PathBuf,
}

/// Why a volume is still staged.
#[derive(Debug, thiserror::Error)]
pub(super) enum NodeUnstageVolumeError {
    #[error(transparent)]
    Request(#[from] BadRequest),
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error(transparent)]
    Path(#[from] FilesystemError),
    #[error("cannot unstage volume {volume}")]
    Filesystem {
        volume: String,
        #[source]
        source: FilesystemError,
    },
    #[error("the work on the volume ended unexpectedly")]
    Thread(#[from] tokio::task::JoinError),
}

impl RpcError for NodeUnstageVolumeError {
    fn code(&self) -> Code {
        match self {
            Self::Request(error) => error.code(),
            Self::Busy(_) => Code::Aborted,
            Self::Path(_) | Self::Filesystem { .. } | Self::Thread(_) => Code::Internal,
        }
    }
}

impl NodeUnstageVolume {
    /// Checks a request.
    pub(super) fn parse(request: NodeUnstageVolumeRequest) -> Result<Self, BadRequest> {
        Ok(Self {
            volume: required("volume_id", request.volume_id)?,
            target: absolute("staging_target_path", request.staging_target_path)?,
        })
    }

    /// Does the work. A volume that is unknown or not staged is fine: it must be possible to clean up after it is gone.
    pub(super) fn run(&self, host: &Host) -> Result<(), NodeUnstageVolumeError> {
        let unmounted = host.unmount_all(&host.filesystems.resolve(&self.target)?);
        unmounted.map_err(|source| NodeUnstageVolumeError::Filesystem {
            volume: self.volume.clone(),
            source,
        })
    }
}
