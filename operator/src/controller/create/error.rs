//! Why CreateVolume did not return a volume, and the status code of each reason.

use csi::{Busy, RpcError};
use tonic::Code;

use super::kept::KeptError;
use crate::controller::api::ApiError;
use crate::controller::choose::{ChooseError, CompanionError};
use crate::controller::request::RequestError;
use crate::controller::volume_id::VolumeId;

/// Why there is no volume, or not yet.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The call cannot be granted, whatever space there is.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The index is not complete yet.
    #[error("the operator is still reading the state of the cluster: try again")]
    Starting,
    /// The operator was told to stop while the call waited.
    #[error("the operator is stopping: try again")]
    Stopping,
    /// Another call works on the volume, in this process or in another.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// A volume of that name is being deleted.
    #[error("volume {id} is being deleted on node {node}; it can be made anew once its bytes are erased: try again")]
    Deleting {
        /// The volume.
        id: VolumeId,
        /// Its node.
        node: String,
    },
    /// A volume of that name exists, with other parameters.
    #[error("volume {id} exists, but {difference}")]
    Different {
        /// The volume.
        id: VolumeId,
        /// What is different, as the end of a sentence: "it has 28 MiB".
        difference: String,
    },
    /// The volume is not what the call asks for, or not where. No `PersistentVolume` names it, so it is being deleted.
    #[error(
        "volume {id} on node {node} is not what is wanted now: {reason}; nobody used it, and it is deleted first: try again"
    )]
    Replacing {
        /// The volume.
        id: VolumeId,
        /// Its node.
        node: String,
        /// What is not as the call asks for: "it has mode sector".
        reason: String,
    },
    /// The volume is on a node that the call does not allow, or another one has it with data, and a `PersistentVolume` names it.
    #[error("volume {id} is on node {node}, and PersistentVolume {persistent_volume} stands for it there")]
    Used {
        /// The volume.
        id: VolumeId,
        /// Its node.
        node: String,
        /// The name of the `PersistentVolume`.
        persistent_volume: String,
    },
    /// A node keeps a volume of that name, which has no PmemVolume, and it cannot be taken up.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// It does not fit on its node by what the watches have shown, and there is more than that.
    #[error("the operator has not seen yet what there is on node {0} now: try again")]
    Behind(String),
    /// It fits on no node that it may be on.
    #[error(transparent)]
    Choose(#[from] ChooseError),
    /// Nobody can tell which volumes this one has to be together with.
    #[error(transparent)]
    Companions(#[from] CompanionError),
    /// Its node refused it.
    #[error("node {node} refused volume {id}: {message}")]
    Refused {
        /// The volume.
        id: VolumeId,
        /// Its node.
        node: String,
        /// Why, in the words of the node's driver.
        message: String,
    },
    /// Somebody deleted the volume while the call waited for it.
    #[error("volume {0} was deleted while it was being made: try again")]
    Deleted(VolumeId),
    /// Its node has not finished within the caller's time limit.
    #[error("node {node} has not finished volume {id} in time, and goes on meanwhile: {state}")]
    Deadline {
        /// The volume.
        id: VolumeId,
        /// Its node.
        node: String,
        /// Its phase and the driver's message.
        state: String,
    },
    /// The API server did not do what it was asked to.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The work on the call ended in the middle.
    #[error("the work on the volume ended unexpectedly")]
    Task(#[from] tokio::task::JoinError),
}

impl RpcError for CreateError {
    /// CSI "CreateVolume Errors", and what external-provisioner makes of each code: after `RESOURCE_EXHAUSTED` the pod is
    /// scheduled anew, after ABORTED, UNAVAILABLE and `DEADLINE_EXCEEDED` the call is repeated for the same node.
    fn code(&self) -> Code {
        match self {
            Self::Request(error) => error.code(),
            Self::Choose(error) => error.code(),
            Self::Companions(error) => error.code(),
            Self::Kept(error) => error.code(),
            Self::Refused { .. } => Code::ResourceExhausted,
            Self::Different { .. } => Code::AlreadyExists,
            Self::Used { .. } => Code::FailedPrecondition,
            Self::Busy(_) | Self::Behind(_) | Self::Deleting { .. } | Self::Replacing { .. } | Self::Deleted(_) => {
                Code::Aborted
            }
            Self::Deadline { .. } => Code::DeadlineExceeded,
            Self::Starting | Self::Stopping => Code::Unavailable,
            Self::Api(error) => error.code(),
            Self::Task(_) => Code::Internal,
        }
    }
}
