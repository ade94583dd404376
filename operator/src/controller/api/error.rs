//! Why the API server did not do what it was asked to.

use kube::core::Status;
use tonic::Code;

use crate::controller::volume_id::VolumeId;

/// The API server did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// It answered with an error from 400 to 499 other than 429: asking again changes nothing.
    #[error("the API server refuses to {action} {id}: {} ({})", .status.message, .status.reason)]
    Refused {
        /// What was asked, as a verb and its object: "create volume".
        action: &'static str,
        /// The volume that it was asked for.
        id: VolumeId,
        /// Its answer, with code, reason and message.
        status: Box<Status>,
    },
    /// It was not reached, or is overloaded or broken. What was asked may have been done all the same.
    #[error("the API server cannot {action} {id} now")]
    Unavailable {
        /// What was asked, as a verb and its object: "create volume".
        action: &'static str,
        /// The volume that it was asked for.
        id: VolumeId,
        /// What happened instead of an answer.
        #[source]
        source: kube::Error,
    },
}

impl ApiError {
    pub(in crate::controller) fn new(action: &'static str, id: &VolumeId, error: kube::Error) -> Self {
        let id = id.clone();
        match error {
            kube::Error::Api(status) if (400..500).contains(&status.code) && status.code != 429 => {
                Self::Refused { action, id, status }
            }
            source => Self::Unavailable { action, id, source },
        }
    }

    /// Whether the object is not what the caller took it for: it exists already, is another version than the one that was to
    /// be changed, or is gone.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        match self {
            Self::Refused { status, .. } => status.code == 409 || status.code == 404,
            Self::Unavailable { .. } => false,
        }
    }

    /// UNAVAILABLE makes external-provisioner repeat the call for the same node, which is right as long as nobody can
    /// tell whether something was written.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Refused { .. } => Code::Internal,
            Self::Unavailable { .. } => Code::Unavailable,
        }
    }
}
