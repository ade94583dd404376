//! `NodeGetVolumeStats`: how full a volume is, and whether its device or file system has failed.

use std::path::PathBuf;

use ::csi::RpcError;
use ::csi::v1::volume_usage::Unit;
use ::csi::v1::{NodeGetVolumeStatsRequest, NodeGetVolumeStatsResponse, VolumeCondition, VolumeUsage};
use placement::Bytes;
use tonic::Code;

use super::host::Host;
use super::request::{BadRequest, required};
use super::volume::{FoundVolume, VolumeError, find};
use crate::filesystem::{DeviceNumber, FilesystemError, PathTarget, Usage};

/// A checked request.
#[derive(Clone, Debug)]
pub(super) struct NodeGetVolumeStats {
    pub(super) volume: String,
    path: PathBuf,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub(super) enum NodeGetVolumeStatsError {
    #[error(transparent)]
    Request(#[from] BadRequest),
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The volume is not there.
    #[error("volume {volume} is not at {}", path.display())]
    NotThere { volume: String, path: PathBuf },
    #[error(transparent)]
    Path(#[from] FilesystemError),
    #[error("cannot measure volume {volume}")]
    Filesystem {
        volume: String,
        #[source]
        source: FilesystemError,
    },
    #[error("the work on the volume ended unexpectedly")]
    Thread(#[from] tokio::task::JoinError),
}

impl RpcError for NodeGetVolumeStatsError {
    fn code(&self) -> Code {
        match self {
            Self::Request(error) => error.code(),
            Self::Volume(error) => error.code(),
            Self::NotThere { .. } => Code::NotFound,
            Self::Path(_) | Self::Filesystem { .. } | Self::Thread(_) => Code::Internal,
        }
    }
}

impl NodeGetVolumeStats {
    /// Checks a request. Any path is allowed: a path without the volume is `NOT_FOUND` later.
    pub(super) fn parse(request: NodeGetVolumeStatsRequest) -> Result<Self, BadRequest> {
        Ok(Self {
            volume: required("volume_id", request.volume_id)?,
            path: PathBuf::from(required("volume_path", request.volume_path)?),
        })
    }

    /// Does the work.
    pub(super) fn run(&self, host: &Host) -> Result<NodeGetVolumeStatsResponse, NodeGetVolumeStatsError> {
        let FoundVolume { device, number, .. } = find(host, &self.volume)?;
        let failed = |source| NodeGetVolumeStatsError::Filesystem {
            volume: self.volume.clone(),
            source,
        };
        let usage = match host.filesystems.stat(&self.path).map_err(failed)? {
            Some(PathTarget::BlockDevice(found)) if found == number => vec![whole(device.usable)],
            Some(PathTarget::OnDevice(found)) if found == number => {
                figures(&host.filesystems.usage(&self.path).map_err(failed)?)
            }
            Some(_) | None => {
                return Err(NodeGetVolumeStatsError::NotThere {
                    volume: self.volume.clone(),
                    path: self.path.clone(),
                });
            }
        };
        let bad = host.filesystems.bad_bytes(number).map_err(failed)?;
        let failed_fs = self.turned_read_only(host, number)?;
        Ok(NodeGetVolumeStatsResponse {
            usage,
            volume_condition: Some(condition(bad, failed_fs)),
        })
    }

    /// Whether the kernel made the file system read-only although this mount of it is not: it does so after an error.
    fn turned_read_only(&self, host: &Host, number: DeviceNumber) -> Result<bool, NodeGetVolumeStatsError> {
        let table = host.filesystems.mounts();
        let table = table.map_err(|source| NodeGetVolumeStatsError::Filesystem {
            volume: self.volume.clone(),
            source,
        })?;
        let mount = table.at(&host.filesystems.resolve(&self.path)?).cloned();
        let ours = mount.filter(|mount| mount.device == number);
        Ok(ours.is_some_and(|mount| mount.super_read_only() && !mount.read_only()))
    }
}

fn whole(usable: Bytes) -> VolumeUsage {
    VolumeUsage {
        total: usable.get(),
        unit: Unit::Bytes.into(),
        ..VolumeUsage::default()
    }
}

fn figures(usage: &Usage) -> Vec<VolumeUsage> {
    let inodes = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    vec![
        VolumeUsage {
            total: usage.total.get(),
            available: usage.available.get(),
            used: usage.used.get(),
            unit: Unit::Bytes.into(),
        },
        VolumeUsage {
            total: inodes(usage.inodes),
            available: inodes(usage.inodes_free),
            used: inodes(usage.inodes.saturating_sub(usage.inodes_free)),
            unit: Unit::Inodes.into(),
        },
    ]
}

/// What people and monitoring read about the health of a volume.
fn condition(bad: Bytes, turned_read_only: bool) -> VolumeCondition {
    let message = if turned_read_only {
        "the kernel made the file system read-only after an error: see dmesg on the node, unmount and check it".into()
    } else if !bad.is_zero() {
        format!(
            "{bad} of the persistent memory cannot be read: restore the files that have them, see ndctl list --media-errors"
        )
    } else {
        return VolumeCondition {
            abnormal: false,
            message: "no media errors known".into(),
        };
    };
    VolumeCondition {
        abnormal: true,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions() {
        assert!(!condition(Bytes::ZERO, false).abnormal);
        let bad = condition(Bytes::kib(4), false);
        assert!(bad.abnormal && bad.message.starts_with("4 KiB"), "{bad:?}");
        let failed = condition(Bytes::ZERO, true);
        assert!(failed.abnormal && failed.message.contains("read-only"));
    }
}
