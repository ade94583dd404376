//! `NodePublishVolume`: bind-mounts a staged volume, or its device, for one pod.

use std::path::{Path, PathBuf};

use ::csi::v1::NodePublishVolumeRequest;
use ::csi::{Busy, RpcError};
use tonic::Code;

use super::capability::{Access, Capability, Sharing};
use super::host::Host;
use super::request::{BadRequest, absolute, required};
use super::volume::{Use, VolumeError, find_usable};
use crate::filesystem::{DeviceNumber, FilesystemError, Mount, MountTable, PathTarget};

/// A checked request.
#[derive(Clone, Debug)]
pub(super) struct NodePublishVolume {
    pub(super) volume: String,
    staging: PathBuf,
    target: PathBuf,
    capability: Capability,
    read_only: bool,
}

/// Why a volume is not published.
#[derive(Debug, thiserror::Error)]
pub(super) enum NodePublishVolumeError {
    #[error(transparent)]
    Request(#[from] BadRequest),
    /// With `STAGE_UNSTAGE_VOLUME`, the staging path is required.
    #[error("staging_target_path is missing: this driver publishes what it staged")]
    NoStagingPath,
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The volume is not mounted at the staging path.
    #[error("volume {volume} is not staged at {}: delete the pods on this node that use it, and it is staged for the next", staging.display())]
    NotStaged { volume: String, staging: PathBuf },
    /// Only one workload may use it, and one does.
    #[error("the claim is ReadWriteOncePod, and the volume is published at {} already", other.display())]
    SecondWriter {
        /// Where it is published.
        other: PathBuf,
    },
    /// Something else is at the target path.
    #[error("{} is taken by another mount", target.display())]
    Occupied { target: PathBuf },
    /// The volume is published there in another way.
    #[error("the volume is published there already as {published}, but {wanted} was asked for")]
    Differs {
        published: &'static str,
        wanted: &'static str,
    },
    #[error(transparent)]
    Path(#[from] FilesystemError),
    #[error("cannot publish volume {volume}")]
    Filesystem {
        volume: String,
        #[source]
        source: FilesystemError,
    },
    #[error("the work on the volume ended unexpectedly")]
    Thread(#[from] tokio::task::JoinError),
}

impl RpcError for NodePublishVolumeError {
    /// A missing staging path and a second writer are `FAILED_PRECONDITION` (CSI, "`NodePublishVolume` Errors").
    fn code(&self) -> Code {
        match self {
            Self::Request(error) => error.code(),
            Self::Busy(_) => Code::Aborted,
            Self::Volume(error) => error.code(),
            Self::NoStagingPath | Self::NotStaged { .. } | Self::SecondWriter { .. } => Code::FailedPrecondition,
            Self::Occupied { .. } | Self::Differs { .. } => Code::AlreadyExists,
            Self::Path(_) | Self::Filesystem { .. } | Self::Thread(_) => Code::Internal,
        }
    }
}

impl NodePublishVolume {
    /// Checks a request. A reader cannot write, whatever `readonly` is.
    pub(super) fn parse(request: NodePublishVolumeRequest) -> Result<Self, NodePublishVolumeError> {
        let volume = required("volume_id", request.volume_id).map_err(NodePublishVolumeError::Request)?;
        let target = absolute("target_path", request.target_path)?;
        let capability: Capability = request.volume_capability.try_into().map_err(BadRequest::from)?;
        if request.staging_target_path.is_empty() {
            return Err(NodePublishVolumeError::NoStagingPath);
        }
        Ok(Self {
            volume,
            staging: absolute("staging_target_path", request.staging_target_path)?,
            target,
            read_only: request.readonly || capability.sharing == Sharing::Readers,
            capability,
        })
    }

    /// Does the work.
    ///
    /// A read-only block volume is a read-only mount of its device node, which keeps nobody from writing to the device:
    /// the kubelet does that, with the device permissions of the container's cgroup.
    pub(super) fn run(&self, host: &Host) -> Result<(), NodePublishVolumeError> {
        let found = find_usable(host, &self.volume)?;
        if found.usage == Use::First {
            return Err(self.not_staged());
        }
        let publishing = Publishing {
            host,
            call: self,
            number: found.number,
            staging: host.filesystems.resolve(&self.staging)?,
            target: host.filesystems.resolve(&self.target)?,
        };
        match self.capability.access {
            Access::Block => publishing.block(&found.device.path),
            Access::Mount { .. } => publishing.mount(),
        }
    }

    fn not_staged(&self) -> NodePublishVolumeError {
        NodePublishVolumeError::NotStaged {
            volume: self.volume.clone(),
            staging: self.staging.clone(),
        }
    }
}

/// One call at work.
struct Publishing<'a> {
    host: &'a Host,
    call: &'a NodePublishVolume,
    number: DeviceNumber,
    staging: PathBuf,
    target: PathBuf,
}

impl Publishing<'_> {
    fn mount(&self) -> Result<(), NodePublishVolumeError> {
        let table = self.mounts()?;
        let staged = table
            .at(&self.staging)
            .filter(|m| m.device == self.number)
            .ok_or_else(|| self.call.not_staged())?;
        let read_only = self.call.read_only || staged.read_only();
        if let Some(mount) = table.at(&self.target) {
            return self.same(mount, mount.device == self.number, read_only);
        }
        self.single(table.of(self.number).map(|mount| &*mount.point))?;
        self.host.filesystems.make_directory(&self.target)?;
        self.bind(&self.staging, read_only)
    }

    fn block(&self, device: &Path) -> Result<(), NodePublishVolumeError> {
        let table = self.mounts()?;
        if let Some(mount) = table.at(&self.target) {
            let ours = self.shows_device(&self.target)?;
            return self.same(mount, ours, self.call.read_only);
        }
        let name = device.file_name();
        let alike = table.iter().filter(|m| m.root.file_name() == name);
        let shown: Vec<&Path> = alike.map(|mount| &*mount.point).collect();
        let mut ours = Vec::new();
        for point in shown {
            if self.shows_device(point)? {
                ours.push(point);
            }
        }
        self.single(ours.into_iter())?;
        self.host.filesystems.make_file(&self.target)?;
        self.bind(device, self.call.read_only)
    }

    /// Whether what is mounted at the target already is what was asked for.
    fn same(&self, mount: &Mount, ours: bool, read_only: bool) -> Result<(), NodePublishVolumeError> {
        let word = |read_only| if read_only { "ro" } else { "rw" };
        if !ours {
            return Err(NodePublishVolumeError::Occupied {
                target: self.target.clone(),
            });
        }
        if mount.read_only() != read_only {
            return Err(NodePublishVolumeError::Differs {
                published: word(mount.read_only()),
                wanted: word(read_only),
            });
        }
        Ok(())
    }

    /// Refuses a second workload where only one is allowed. The staging path may show up under another root as well,
    /// because a container sees the kubelet's directory wherever it was mounted into it.
    fn single<'p>(&self, points: impl Iterator<Item = &'p Path>) -> Result<(), NodePublishVolumeError> {
        if self.call.capability.sharing != Sharing::SingleWriter {
            return Ok(());
        }
        let staging = self.staging.strip_prefix("/").unwrap_or(&self.staging);
        let mut others = points.filter(|point| !point.ends_with(staging));
        match others.next() {
            Some(other) => Err(NodePublishVolumeError::SecondWriter {
                other: other.to_owned(),
            }),
            None => Ok(()),
        }
    }

    fn bind(&self, source: &Path, read_only: bool) -> Result<(), NodePublishVolumeError> {
        let bound = self.host.filesystems.bind(source, &self.target, read_only);
        bound.map_err(|source| self.failed(source))?;
        tracing::info!(volume = self.call.volume, target = %self.target.display(), read_only, "published");
        Ok(())
    }

    fn shows_device(&self, path: &Path) -> Result<bool, NodePublishVolumeError> {
        let found = self.host.filesystems.stat(path);
        let found = found.map_err(|source| self.failed(source))?;
        Ok(found == Some(PathTarget::BlockDevice(self.number)))
    }

    fn mounts(&self) -> Result<MountTable, NodePublishVolumeError> {
        let table = self.host.filesystems.mounts();
        table.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: FilesystemError) -> NodePublishVolumeError {
        NodePublishVolumeError::Filesystem {
            volume: self.call.volume.clone(),
            source,
        }
    }
}
