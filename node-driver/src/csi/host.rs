//! The devices and file systems of this node, which every call works on.

use std::path::Path;
use std::sync::Arc;

use crate::devices::Devices;
use crate::filesystem::{FilesystemError, Filesystems};
use crate::volumes::EarlierVolumes;

/// The devices and file systems of this node.
pub(super) struct Host {
    pub(super) devices: Arc<dyn Devices>,
    pub(super) filesystems: Arc<dyn Filesystems>,
    /// Volumes that the cluster vouches for, because their namespaces have no mark.
    pub(super) earlier: EarlierVolumes,
}

impl Host {
    /// Takes away all mounts at a path without symbolic links. Nothing mounted there counts as success.
    pub(super) fn unmount_all(&self, target: &Path) -> Result<(), FilesystemError> {
        while self.filesystems.mounts()?.at(target).is_some() {
            self.filesystems.unmount(target)?;
            tracing::info!(target = %target.display(), "unmounted");
        }
        Ok(())
    }
}
