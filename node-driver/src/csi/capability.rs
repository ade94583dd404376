//! The volume capability of a request: how the volume is to be used.

use ::csi::RpcError;
use ::csi::v1::VolumeCapability;
use ::csi::v1::volume_capability::access_mode::Mode;
use tonic::Code;

use crate::filesystem::{FsType, UnknownFsType};

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
        fs: Option<FsType>,
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
    #[error(
        "access mode {0} is not possible: persistent memory can be reached from its own node only; use ReadWriteOnce or \
         ReadWriteOncePod"
    )]
    ManyNodes(&'static str),
    #[error(transparent)]
    FsType(#[from] UnknownFsType),
}

impl RpcError for CapabilityError {
    fn code(&self) -> Code {
        match self {
            Self::Malformed(_) | Self::FsType(_) => Code::InvalidArgument,
            Self::ManyNodes(_) => ::csi::UNSUPPORTED_BY_VOLUME,
        }
    }
}

impl TryFrom<Option<VolumeCapability>> for Capability {
    type Error = CapabilityError;

    fn try_from(capability: Option<VolumeCapability>) -> Result<Self, CapabilityError> {
        let capability = ::csi::Capability::required(capability)?;
        Ok(Self {
            sharing: sharing(capability.mode)?,
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

fn sharing(mode: Mode) -> Result<Sharing, CapabilityError> {
    match mode {
        Mode::SingleNodeWriter | Mode::SingleNodeMultiWriter => Ok(Sharing::Writers),
        Mode::SingleNodeSingleWriter => Ok(Sharing::SingleWriter),
        Mode::SingleNodeReaderOnly => Ok(Sharing::Readers),
        Mode::MultiNodeReaderOnly | Mode::MultiNodeSingleWriter | Mode::MultiNodeMultiWriter => {
            Err(CapabilityError::ManyNodes(mode.as_str_name()))
        }
        Mode::Unknown => Err(::csi::CapabilityError::UnknownMode(mode.into()).into()),
    }
}
