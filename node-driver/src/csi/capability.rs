//! The volume capability of a request: how the volume is to be used.

use ::csi::v1::VolumeCapability;
use ::csi::v1::volume_capability::access_mode::Mode;
use ::csi::v1::volume_capability::{AccessType, MountVolume};
use tonic::Code;

use super::answer::Coded;
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
    #[error("volume_capability is missing")]
    Missing,
    #[error("volume_capability.access_type is missing")]
    NoAccessType,
    /// No access mode, or one of a later specification.
    #[error("volume_capability.access_mode is missing or unknown")]
    NoAccessMode,
    #[error(
        "access mode {0} is not possible: persistent memory can be reached from its own node only; use ReadWriteOnce or \
         ReadWriteOncePod"
    )]
    ManyNodes(&'static str),
    #[error(transparent)]
    FsType(#[from] UnknownFsType),
}

impl Coded for CapabilityError {
    /// "Exceeds capabilities" is `FAILED_PRECONDITION` (CSI, "`NodeStageVolume` Errors").
    fn code(&self) -> Code {
        match self {
            Self::Missing | Self::NoAccessType | Self::NoAccessMode | Self::FsType(_) => Code::InvalidArgument,
            Self::ManyNodes(_) => Code::FailedPrecondition,
        }
    }
}

impl TryFrom<Option<VolumeCapability>> for Capability {
    type Error = CapabilityError;

    fn try_from(capability: Option<VolumeCapability>) -> Result<Self, CapabilityError> {
        let capability = capability.ok_or(CapabilityError::Missing)?;
        let mode = capability.access_mode.map(|mode| mode.mode());
        let access = capability.access_type.ok_or(CapabilityError::NoAccessType)?;
        Ok(Self {
            sharing: sharing(mode.unwrap_or(Mode::Unknown))?,
            access: match access {
                AccessType::Block(_) => Access::Block,
                AccessType::Mount(mount) => mounted(mount)?,
            },
        })
    }
}

fn mounted(mount: MountVolume) -> Result<Access, UnknownFsType> {
    let fs = Some(mount.fs_type).filter(|name| !name.is_empty());
    Ok(Access::Mount {
        fs: fs.map(|name| name.parse()).transpose()?,
        flags: mount.mount_flags,
    })
}

fn sharing(mode: Mode) -> Result<Sharing, CapabilityError> {
    match mode {
        Mode::SingleNodeWriter | Mode::SingleNodeMultiWriter => Ok(Sharing::Writers),
        Mode::SingleNodeSingleWriter => Ok(Sharing::SingleWriter),
        Mode::SingleNodeReaderOnly => Ok(Sharing::Readers),
        Mode::MultiNodeReaderOnly | Mode::MultiNodeSingleWriter | Mode::MultiNodeMultiWriter => {
            Err(CapabilityError::ManyNodes(mode.as_str_name()))
        }
        Mode::Unknown => Err(CapabilityError::NoAccessMode),
    }
}
