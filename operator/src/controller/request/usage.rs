//! How a volume is to be used: access mode, access type, file system and mount options.

use cluster::{AccessMode, AccessModeError, Filesystem, MountOptionError, UnknownFilesystem, read_mount_options};
use csi::v1::VolumeCapability;
use csi::{Access, Capability, CapabilityError};

/// Why a volume cannot be used as its capabilities say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// No capability is given.
    #[error("no volume capability is given: say how the volume is to be used")]
    None,
    /// A capability is not complete.
    #[error(transparent)]
    Capability(#[from] CapabilityError),
    /// An access mode takes several nodes.
    #[error(transparent)]
    AccessMode(#[from] AccessModeError),
    /// The file system is not one that the node's driver makes.
    #[error(transparent)]
    Filesystem(#[from] UnknownFilesystem),
    /// The node's driver does not mount it with such an option.
    #[error(transparent)]
    MountOption(#[from] MountOptionError),
    /// The capabilities name different file systems.
    #[error("the volume capabilities name different file systems")]
    TwoFilesystems,
}

/// The file system that a volume with these capabilities needs, or none if it is only used as a raw block device.
///
/// # Errors
/// If the volume cannot be used in all of these ways. CreateVolume answers `INVALID_ARGUMENT` then.
pub fn filesystem_of(capabilities: &[VolumeCapability]) -> Result<Option<Filesystem>, UsageError> {
    if capabilities.is_empty() {
        return Err(UsageError::None);
    }
    let mut found = None;
    for capability in capabilities {
        let capability = Capability::read(capability.clone())?;
        AccessMode::parse(capability.claim_access_mode().unwrap_or_default())?.check()?;
        match (found, filesystem(&capability.access)?) {
            (Some(one), Some(other)) if one != other => return Err(UsageError::TwoFilesystems),
            (_, Some(one)) => found = Some(one),
            (_, None) => {}
        }
    }
    Ok(found)
}

/// The file system of one capability, if it can be mounted with its options.
fn filesystem(access: &Access) -> Result<Option<Filesystem>, UsageError> {
    match access {
        Access::Block => Ok(None),
        Access::Mount { fs_type, flags } => {
            let filesystem = Filesystem::parse(fs_type.as_deref().unwrap_or_default())?;
            read_mount_options(filesystem, flags)?;
            Ok(Some(filesystem))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use csi::v1::volume_capability::access_mode::Mode;
    use csi::v1::volume_capability::{AccessMode, AccessType, BlockVolume, MountVolume};

    fn mount(fs_type: &str, mode: Mode) -> VolumeCapability {
        let mount = MountVolume {
            fs_type: fs_type.into(),
            ..MountVolume::default()
        };
        VolumeCapability {
            access_type: Some(AccessType::Mount(mount)),
            access_mode: Some(AccessMode { mode: mode.into() }),
        }
    }

    #[test]
    fn one_node_and_a_known_file_system() {
        let writer = Mode::SingleNodeWriter;
        assert_eq!(filesystem_of(&[mount("", writer)]), Ok(Some(Filesystem::Ext4)));
        assert_eq!(filesystem_of(&[mount("xfs", writer)]), Ok(Some(Filesystem::Xfs)));
        let block = VolumeCapability {
            access_type: Some(AccessType::Block(BlockVolume {})),
            ..mount("", Mode::SingleNodeReaderOnly)
        };
        assert_eq!(filesystem_of(&[block]), Ok(None));
    }

    #[test]
    fn mount_options_are_those_of_the_file_system() {
        let with = |fs_type: &str, option: &str| {
            let options = MountVolume {
                fs_type: fs_type.into(),
                mount_flags: vec![option.into()],
                ..MountVolume::default()
            };
            filesystem_of(&[VolumeCapability {
                access_type: Some(AccessType::Mount(options)),
                ..mount("", Mode::SingleNodeWriter)
            }])
        };
        assert_eq!(with("xfs", "logbsize=256k"), Ok(Some(Filesystem::Xfs)));
        for (fs_type, option) in [
            ("xfs", "logdev=/dev/sda"),
            ("", "logbsize=256k"),
            ("ext4", "X-mount.subdir=x"),
        ] {
            assert!(
                matches!(with(fs_type, option), Err(UsageError::MountOption(_))),
                "{option}"
            );
        }
    }

    #[test]
    fn everything_else_is_refused_with_a_reason() {
        let writer = Mode::SingleNodeWriter;
        let nothing = VolumeCapability {
            access_type: None,
            ..mount("", writer)
        };
        for (capabilities, text) in [
            (vec![], "no volume capability"),
            (vec![nothing], "neither block nor mount"),
            (
                vec![mount("", Mode::MultiNodeMultiWriter)],
                "access mode ReadWriteMany needs several nodes",
            ),
            (vec![mount("", Mode::Unknown)], "not known"),
            (vec![mount("btrfs", writer)], "allowed are ext4, xfs"),
            (
                vec![mount("ext4", writer), mount("xfs", writer)],
                "different file systems",
            ),
        ] {
            let error = filesystem_of(&capabilities).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
