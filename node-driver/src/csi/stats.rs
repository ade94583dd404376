//! `NodeGetVolumeStats`: how full a volume is, and whether it is well.

use std::path::PathBuf;

use ::csi::v1::volume_usage::Unit;
use ::csi::v1::{NodeGetVolumeStatsRequest, NodeGetVolumeStatsResponse, VolumeCondition, VolumeUsage};
use placement::Bytes;
use tonic::Code;

use super::node::Host;
use super::paths::{PathError, resolve};
use super::request::required;
use super::{BadRequest, Coded, VolumeError, volume};
use crate::filesystem::{DeviceNumber, FilesystemError, Found, Usage};

/// What a call asks for.
#[derive(Clone, Debug)]
pub(super) struct Stats {
    pub(super) volume: String,
    path: PathBuf,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum StatsError {
    /// The request is not allowed.
    #[error(transparent)]
    Request(#[from] BadRequest),
    /// There is no device.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The volume is not there.
    #[error("volume {volume} is not at {}", path.display())]
    NotThere {
        /// The volume.
        volume: String,
        /// The path.
        path: PathBuf,
    },
    /// The path cannot be looked at.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The kernel does not say.
    #[error("cannot measure volume {volume}")]
    Filesystem {
        /// The volume.
        volume: String,
        /// What failed.
        #[source]
        source: FilesystemError,
    },
    /// The work ended without an outcome.
    #[error("the work on the volume ended unexpectedly")]
    Lost(#[from] tokio::task::JoinError),
}

impl Coded for StatsError {
    fn code(&self) -> Code {
        match self {
            Self::Request(error) => error.code(),
            Self::Volume(error) => error.code(),
            Self::NotThere { .. } => Code::NotFound,
            Self::Path(_) | Self::Filesystem { .. } | Self::Lost(_) => Code::Internal,
        }
    }
}

impl Stats {
    /// Reads a request. Any path is allowed: where the volume is not, the answer is `NOT_FOUND`.
    pub(super) fn parse(request: NodeGetVolumeStatsRequest) -> Result<Self, BadRequest> {
        Ok(Self {
            volume: required("volume_id", request.volume_id)?,
            path: PathBuf::from(required("volume_path", request.volume_path)?),
        })
    }

    /// Does the work.
    pub(super) fn run(&self, host: &Host) -> Result<NodeGetVolumeStatsResponse, StatsError> {
        let (device, number) = volume::find(&*host.devices, &*host.filesystems, &self.volume)?;
        let failed = |source| StatsError::Filesystem {
            volume: self.volume.clone(),
            source,
        };
        let usage = match host.filesystems.stat(&self.path).map_err(failed)? {
            Some(Found::Block(found)) if found == number => vec![whole(device.usable)],
            Some(Found::On(found)) if found == number => figures(&host.filesystems.usage(&self.path).map_err(failed)?),
            Some(_) | None => {
                return Err(StatsError::NotThere {
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
    fn turned_read_only(&self, host: &Host, number: DeviceNumber) -> Result<bool, StatsError> {
        let table = host.filesystems.mounts();
        let table = table.map_err(|source| StatsError::Filesystem {
            volume: self.volume.clone(),
            source,
        })?;
        let mount = table.at(&resolve(&self.path)?).cloned();
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
