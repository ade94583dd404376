//! How many nodes and pods may use a volume at the same time.

use std::fmt;

/// An access mode of a claim (`accessModes`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessMode {
    /// By all pods of one node.
    ReadWriteOnce,
    /// By one pod.
    ReadWriteOncePod,
    /// By pods of several nodes, none of which writes.
    ReadOnlyMany,
    /// By pods of several nodes.
    ReadWriteMany,
}

/// A volume cannot be used in that way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessModeError {
    /// Persistent memory is in one node.
    #[error(
        "access mode {0} needs several nodes, but persistent memory can be reached from its own node only: use \
         ReadWriteOnce or ReadWriteOncePod"
    )]
    SeveralNodes(AccessMode),
    /// Neither Kubernetes 1.36 nor CSI 1.12 has a mode of that name or number.
    #[error("access mode {0} is not known: use ReadWriteOnce or ReadWriteOncePod")]
    Unknown(String),
}

impl AccessMode {
    /// Whether a volume in one node can be used in this way.
    ///
    /// # Errors
    /// It takes several nodes.
    pub const fn check(self) -> Result<(), AccessModeError> {
        match self {
            Self::ReadWriteOnce | Self::ReadWriteOncePod => Ok(()),
            Self::ReadOnlyMany | Self::ReadWriteMany => Err(AccessModeError::SeveralNodes(self)),
        }
    }

    /// Reads one of `accessModes` of a claim.
    ///
    /// # Errors
    /// Kubernetes has no such mode.
    pub fn parse(name: &str) -> Result<Self, AccessModeError> {
        match name {
            "ReadWriteOnce" => Ok(Self::ReadWriteOnce),
            "ReadWriteOncePod" => Ok(Self::ReadWriteOncePod),
            "ReadOnlyMany" => Ok(Self::ReadOnlyMany),
            "ReadWriteMany" => Ok(Self::ReadWriteMany),
            other => Err(AccessModeError::Unknown(other.into())),
        }
    }
}

impl fmt::Display for AccessMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
/// The access modes of a claim or of a `PersistentVolume`, as they are written.
pub(crate) fn mode_names(modes: Option<&Vec<String>>) -> impl Iterator<Item = Box<str>> {
    modes.into_iter().flatten().map(|mode| mode.as_str().into())
}
