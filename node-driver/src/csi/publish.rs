//! `NodePublishVolume`: shows a staged volume to one pod.

use std::path::{Path, PathBuf};

use ::csi::v1::NodePublishVolumeRequest;
use tonic::Code;

use super::node::Host;
use super::paths::{PathError, make_directory, make_file, resolve};
use super::request::{absolute, required};
use super::{Access, BadRequest, Busy, Capability, Coded, Sharing, VolumeError, volume};
use crate::filesystem::{DeviceNumber, FilesystemError, Found, Mount, MountTable};

/// What a call asks for.
#[derive(Clone, Debug)]
pub(super) struct Publish {
    pub(super) volume: String,
    staging: PathBuf,
    target: PathBuf,
    capability: Capability,
    read_only: bool,
}

/// Why a volume is not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The request is not allowed.
    #[error(transparent)]
    Request(#[from] BadRequest),
    /// A driver with `STAGE_UNSTAGE_VOLUME` needs the staging path.
    #[error("staging_target_path is missing: this driver publishes what it staged")]
    NoStagingPath,
    /// Another call works on the volume.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// There is no device.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The volume is not mounted at the staging path.
    #[error("volume {volume} is not staged at {}: call NodeStageVolume first", staging.display())]
    NotStaged {
        /// The volume.
        volume: String,
        /// The staging path.
        staging: PathBuf,
    },
    /// Only one workload may use it, and one does.
    #[error("access mode SINGLE_NODE_SINGLE_WRITER, but the volume is published at {} already", other.display())]
    SecondWriter {
        /// Where it is published.
        other: PathBuf,
    },
    /// Something else is at the target path.
    #[error("{} is taken by another mount", target.display())]
    Occupied {
        /// The target path.
        target: PathBuf,
    },
    /// The volume is published there in another way.
    #[error("the volume is published there already as {published}, but {wanted} was asked for")]
    Differs {
        /// How it is published.
        published: &'static str,
        /// What was asked for.
        wanted: &'static str,
    },
    /// The target path is not usable.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The kernel refused.
    #[error("cannot publish volume {volume}")]
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

impl Coded for PublishError {
    /// A missing staging path and a second writer are `FAILED_PRECONDITION` (CSI, "`NodePublishVolume` Errors").
    fn code(&self) -> Code {
        match self {
            Self::Request(error) => error.code(),
            Self::Busy(_) => Code::Aborted,
            Self::Volume(error) => error.code(),
            Self::NoStagingPath | Self::NotStaged { .. } | Self::SecondWriter { .. } => Code::FailedPrecondition,
            Self::Occupied { .. } | Self::Differs { .. } => Code::AlreadyExists,
            Self::Path(_) | Self::Filesystem { .. } | Self::Lost(_) => Code::Internal,
        }
    }
}

impl Publish {
    /// Reads a request. A reader cannot write, whatever `readonly` says.
    pub(super) fn parse(request: NodePublishVolumeRequest) -> Result<Self, PublishError> {
        let volume = required("volume_id", request.volume_id).map_err(PublishError::Request)?;
        let target = absolute("target_path", request.target_path)?;
        let capability: Capability = request.volume_capability.try_into().map_err(BadRequest::from)?;
        if request.staging_target_path.is_empty() {
            return Err(PublishError::NoStagingPath);
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
    pub(super) fn run(&self, host: &Host) -> Result<(), PublishError> {
        let found = volume::find(&*host.devices, &*host.filesystems, &self.volume)?;
        let publishing = Publishing {
            host,
            call: self,
            number: found.1,
            staging: resolve(&self.staging)?,
            target: resolve(&self.target)?,
        };
        match self.capability.access {
            Access::Block => publishing.block(&found.0.path),
            Access::Mount { .. } => publishing.mount(),
        }
    }
}

/// Publishing with all that it needs at hand.
struct Publishing<'a> {
    host: &'a Host,
    call: &'a Publish,
    number: DeviceNumber,
    staging: PathBuf,
    target: PathBuf,
}

impl Publishing<'_> {
    fn mount(&self) -> Result<(), PublishError> {
        let table = self.mounts()?;
        let staged = table
            .at(&self.staging)
            .filter(|m| m.device == self.number)
            .ok_or_else(|| PublishError::NotStaged {
                volume: self.call.volume.clone(),
                staging: self.staging.clone(),
            })?;
        let read_only = self.call.read_only || staged.read_only();
        if let Some(mount) = table.at(&self.target) {
            return self.same(mount, mount.device == self.number, read_only);
        }
        self.single(table.of(self.number).map(|mount| &*mount.point))?;
        make_directory(&self.target)?;
        self.bind(&self.staging, read_only)
    }

    fn block(&self, device: &Path) -> Result<(), PublishError> {
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
        make_file(&self.target)?;
        self.bind(device, self.call.read_only)
    }

    /// Whether what is mounted at the target already is what was asked for.
    fn same(&self, mount: &Mount, ours: bool, read_only: bool) -> Result<(), PublishError> {
        let word = |read_only| if read_only { "ro" } else { "rw" };
        if !ours {
            return Err(PublishError::Occupied {
                target: self.target.clone(),
            });
        }
        if mount.read_only() != read_only {
            return Err(PublishError::Differs {
                published: word(mount.read_only()),
                wanted: word(read_only),
            });
        }
        Ok(())
    }

    /// Refuses a second workload where only one is allowed. The staging path may show up under another root as well,
    /// because a container sees the kubelet's directory wherever it was mounted into it.
    fn single<'p>(&self, points: impl Iterator<Item = &'p Path>) -> Result<(), PublishError> {
        if self.call.capability.sharing != Sharing::SingleWriter {
            return Ok(());
        }
        let staging = self.staging.strip_prefix("/").unwrap_or(&self.staging);
        let mut others = points.filter(|point| !point.ends_with(staging));
        match others.next() {
            Some(other) => Err(PublishError::SecondWriter {
                other: other.to_owned(),
            }),
            None => Ok(()),
        }
    }

    fn bind(&self, source: &Path, read_only: bool) -> Result<(), PublishError> {
        let bound = self.host.filesystems.bind(source, &self.target, read_only);
        bound.map_err(|source| self.failed(source))?;
        tracing::info!(volume = self.call.volume, target = %self.target.display(), read_only, "published");
        Ok(())
    }

    fn shows_device(&self, path: &Path) -> Result<bool, PublishError> {
        let found = self.host.filesystems.stat(path);
        let found = found.map_err(|source| self.failed(source))?;
        Ok(found == Some(Found::Block(self.number)))
    }

    fn mounts(&self) -> Result<MountTable, PublishError> {
        let table = self.host.filesystems.mounts();
        table.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: FilesystemError) -> PublishError {
        PublishError::Filesystem {
            volume: self.call.volume.clone(),
            source,
        }
    }
}
