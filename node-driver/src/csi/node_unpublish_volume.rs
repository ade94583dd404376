//! `NodeUnpublishVolume`: takes a volume away from one pod.

use std::path::PathBuf;

use ::csi::v1::NodeUnpublishVolumeRequest;
use ::csi::{Busy, RpcError};
use tonic::Code;

use super::host::Host;
use super::request::{BadRequest, absolute, required};
use crate::filesystem::FilesystemError;

/// A checked request.
#[derive(Clone, Debug)]
pub(super) struct NodeUnpublishVolume {
    pub(super) volume: String,
    target: PathBuf,
}

/// Why a volume is still published.
#[derive(Debug, thiserror::Error)]
pub(super) enum NodeUnpublishVolumeError {
    #[error(transparent)]
    Request(#[from] BadRequest),
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error(transparent)]
    Path(#[from] FilesystemError),
    #[error("cannot unpublish volume {volume}")]
    Filesystem {
        volume: String,
        #[source]
        source: FilesystemError,
    },
    #[error("the work on the volume ended unexpectedly")]
    Thread(#[from] tokio::task::JoinError),
}

impl RpcError for NodeUnpublishVolumeError {
    fn code(&self) -> Code {
        match self {
            Self::Request(error) => error.code(),
            Self::Busy(_) => Code::Aborted,
            Self::Path(_) | Self::Filesystem { .. } | Self::Thread(_) => Code::Internal,
        }
    }
}

impl NodeUnpublishVolume {
    /// Checks a request.
    pub(super) fn parse(request: NodeUnpublishVolumeRequest) -> Result<Self, BadRequest> {
        Ok(Self {
            volume: required("volume_id", request.volume_id)?,
            target: absolute("target_path", request.target_path)?,
        })
    }

    /// Does the work: what was made for the pod goes away, an empty directory or a file. A volume that is unknown or not
    /// published is fine: it must be possible to clean up after it is gone.
    pub(super) fn run(&self, host: &Host) -> Result<(), NodeUnpublishVolumeError> {
        let target = host.filesystems.resolve(&self.target)?;
        let unmounted = host
            .unmount_all(&target)
            .and_then(|()| host.filesystems.clear_interrupted_bind(&target));
        unmounted.map_err(|source| NodeUnpublishVolumeError::Filesystem {
            volume: self.volume.clone(),
            source,
        })?;
        Ok(host.filesystems.remove(&target)?)
    }
}
