//! The volume capability of a request: how the volume is to be used.

use ::csi::RpcError;
use ::csi::v1::VolumeCapability;
use ::csi::v1::volume_capability::access_mode::Mode;
use cluster::{AccessMode, AccessModeError};
use tonic::Code;

use crate::filesystem::{Filesystem, UnknownFilesystem};

/// How a volume is to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Capability {
    pub(super) access: Access,
    pub(super) sharing: Sharing,
}

/// As what a volume is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// As a block device.
    Block,
    /// As a file system.
    Mount {
        /// Which one; none: the one that is there, or the default.
        fs: Option<Filesystem>,
        /// Mount options as the user wrote them.
        flags: Vec<String>,
    },
}

/// Who uses a volume, always on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// Anyone on the node.
    Writers,
    /// One pod.
    SingleWriter,
    /// Anyone on the node, but nobody writes.
    Readers,
}

/// A capability that no volume has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CapabilityError {
    #[error(transparent)]
    Malformed(#[from] ::csi::CapabilityError),
    #[error(transparent)]
    AccessMode(#[from] AccessModeError),
    #[error(transparent)]
    Filesystem(#[from] UnknownFilesystem),
}

impl RpcError for CapabilityError {
    fn code(&self) -> Code {
        match self {
            Self::Malformed(_) | Self::Filesystem(_) => Code::InvalidArgument,
            Self::AccessMode(_) => ::csi::UNSUPPORTED_BY_VOLUME,
        }
    }
}

impl TryFrom<Option<VolumeCapability>> for Capability {
    type Error = CapabilityError;

    fn try_from(capability: Option<VolumeCapability>) -> Result<Self, CapabilityError> {
        let capability = ::csi::Capability::required(capability)?;
        AccessMode::parse(capability.claim_access_mode().unwrap_or_default())?.check()?;
        Ok(Self {
            sharing: sharing(capability.mode),
            access: match capability.access {
                ::csi::Access::Block => Access::Block,
                ::csi::Access::Mount { fs_type, flags } => Access::Mount {
                    fs: fs_type.map(|name| name.parse()).transpose()?,
                    flags,
                },
            },
        })
    }
}

/// Modes for several nodes were refused before.
fn sharing(mode: Mode) -> Sharing {
    match mode {
        Mode::SingleNodeSingleWriter => Sharing::SingleWriter,
        Mode::SingleNodeReaderOnly | Mode::MultiNodeReaderOnly => Sharing::Readers,
        Mode::SingleNodeWriter
        | Mode::SingleNodeMultiWriter
        | Mode::MultiNodeSingleWriter
        | Mode::MultiNodeMultiWriter
        | Mode::Unknown => Sharing::Writers,
    }
}
