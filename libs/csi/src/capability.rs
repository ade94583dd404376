//! How a volume is to be used, as calls say it. Which of it a volume can do is not decided here.

use tonic::Code;

use crate::v1::volume_capability::AccessType;
use crate::v1::volume_capability::access_mode::Mode;
use crate::v1::{VolumeCapability, volume_capability::MountVolume};

/// How a volume is to be used. Every field that the CSI specification requires is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// As what.
    pub access: Access,
    /// By whom, and from how many nodes; never [`Mode::Unknown`].
    pub mode: Mode,
}

/// As what a volume is to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// As a block device.
    Block,
    /// As a file system.
    Mount {
        /// Its type, such as "ext4"; none: the plugin chooses.
        fs_type: Option<String>,
        /// Mount options as the user wrote them.
        flags: Vec<String>,
    },
}

/// A capability that the CSI specification does not allow: always `INVALID_ARGUMENT`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    /// A call that has to have one has none.
    #[error("volume_capability is missing")]
    Missing,
    /// It does not say as what.
    #[error("volume_capability.access_type is missing: it says neither block nor mount")]
    NoAccessType,
    /// It has no access mode (0), or one of a later specification.
    #[error("volume_capability.access_mode is missing or not known ({0}): use ReadWriteOnce or ReadWriteOncePod")]
    UnknownMode(i32),
}

/// The gRPC code for a capability that the specification allows, but that no volume of the plugin has, in calls that make
/// a volume or ask for space for one: CreateVolume, GetCapacity. They have no code of their own for it; the general one
/// is "Invalid or unsupported field in the request".
pub const UNSUPPORTED_FOR_NEW_VOLUME: Code = Code::InvalidArgument;

/// The gRPC code for such a capability in calls on a volume that exists: "Exceeds capabilities" of `NodeStageVolume` and
/// `NodePublishVolume`. `ValidateVolumeCapabilities` has no code for it: its response is OK without `confirmed`.
pub const UNSUPPORTED_BY_VOLUME: Code = Code::FailedPrecondition;

impl Capability {
    /// Reads a capability that a call has to have.
    ///
    /// # Errors
    /// If it is missing, or as [`Capability::read`].
    pub fn required(capability: Option<VolumeCapability>) -> Result<Self, CapabilityError> {
        Self::read(capability.ok_or(CapabilityError::Missing)?)
    }

    /// Reads a capability.
    ///
    /// # Errors
    /// If a field that the CSI specification requires is missing, or not known.
    pub fn read(capability: VolumeCapability) -> Result<Self, CapabilityError> {
        let access = match capability.access_type.ok_or(CapabilityError::NoAccessType)? {
            AccessType::Block(_) => Access::Block,
            AccessType::Mount(mount) => Access::mount(mount),
        };
        let number = capability.access_mode.map_or(0, |mode| mode.mode);
        match Mode::try_from(number) {
            Err(_) | Ok(Mode::Unknown) => Err(CapabilityError::UnknownMode(number)),
            Ok(mode) => Ok(Self { access, mode }),
        }
    }

    /// The access mode of a claim, as Kubernetes calls it, that becomes this mode (`accessModeToCSI` in
    /// external-provisioner); none for [`Mode::Unknown`].
    #[must_use]
    pub const fn claim_access_mode(&self) -> Option<&'static str> {
        match self.mode {
            Mode::SingleNodeWriter | Mode::SingleNodeReaderOnly | Mode::SingleNodeMultiWriter => Some("ReadWriteOnce"),
            Mode::SingleNodeSingleWriter => Some("ReadWriteOncePod"),
            Mode::MultiNodeReaderOnly => Some("ReadOnlyMany"),
            Mode::MultiNodeSingleWriter | Mode::MultiNodeMultiWriter => Some("ReadWriteMany"),
            Mode::Unknown => None,
        }
    }
}

impl Access {
    fn mount(mount: MountVolume) -> Self {
        Self::Mount {
            fs_type: Some(mount.fs_type).filter(|name| !name.is_empty()),
            flags: mount.mount_flags,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::volume_capability::{AccessMode, BlockVolume};

    fn capability(access: AccessType, mode: i32) -> VolumeCapability {
        VolumeCapability {
            access_type: Some(access),
            access_mode: Some(AccessMode { mode }),
        }
    }

    fn ext4() -> AccessType {
        AccessType::Mount(MountVolume {
            fs_type: "ext4".into(),
            mount_flags: vec!["noatime".into()],
            ..MountVolume::default()
        })
    }

    #[test]
    fn block_and_mount_are_read() {
        let (writer, many) = (Mode::SingleNodeWriter, Mode::MultiNodeMultiWriter);
        let block = AccessType::Block(BlockVolume {});
        let read = Capability::read(capability(block, writer.into()));
        let expected = Access::Block;
        assert_eq!(
            read,
            Ok(Capability {
                access: expected,
                mode: writer
            })
        );
        let read = Capability::required(Some(capability(ext4(), many.into())));
        let expected = Access::Mount {
            fs_type: Some("ext4".into()),
            flags: vec!["noatime".into()],
        };
        assert_eq!(
            read,
            Ok(Capability {
                access: expected,
                mode: many
            })
        );
        let any = Capability::read(capability(AccessType::Mount(MountVolume::default()), writer.into())).unwrap();
        assert!(matches!(any.access, Access::Mount { fs_type: None, .. }));
    }

    #[test]
    fn what_the_specification_requires_is_required() {
        assert_eq!(Capability::required(None), Err(CapabilityError::Missing));
        for number in [0, 99] {
            let read = Capability::read(capability(ext4(), number));
            assert_eq!(read, Err(CapabilityError::UnknownMode(number)));
        }
        let silent = VolumeCapability {
            access_mode: None,
            ..capability(ext4(), 0)
        };
        assert_eq!(Capability::read(silent), Err(CapabilityError::UnknownMode(0)));
        let neither = VolumeCapability {
            access_type: None,
            ..capability(ext4(), 1)
        };
        assert_eq!(Capability::read(neither), Err(CapabilityError::NoAccessType));
    }
}
