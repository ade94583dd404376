//! `NodeStageVolume`: formats a volume if it is blank, and mounts it once for the whole node.

use std::path::{Path, PathBuf};

use ::csi::v1::NodeStageVolumeRequest;
use ::csi::{Busy, RpcError};
use tonic::Code;

use super::capability::{Access, Capability};
use super::host::Host;
use super::request::{BadRequest, absolute, required};
use super::volume::{FoundVolume, Use, VolumeError, find_usable};
use crate::devices::{Dax, DeviceError, Stage, VolumeDevice};
use crate::filesystem::{
    ContentError, DeviceNumber, Filesystem, FilesystemError, Mount, MountOptions, OptionError, filesystem_of,
    large_enough,
};

/// A checked request.
#[derive(Clone, Debug)]
pub(super) struct NodeStageVolume {
    pub(super) volume: String,
    target: PathBuf,
    capability: Capability,
}

/// Why a volume is not staged.
#[derive(Debug, thiserror::Error)]
pub(super) enum NodeStageVolumeError {
    #[error(transparent)]
    Request(#[from] BadRequest),
    #[error(transparent)]
    Options(#[from] OptionError),
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// Something else is mounted there.
    #[error("{} is the mount point of another device ({device})", target.display())]
    Occupied { target: PathBuf, device: DeviceNumber },
    /// The volume is mounted there in another way.
    #[error(
        "the volume is staged already as {staged}, but {wanted} was asked for: delete the pods on this node that use it"
    )]
    Differs { staged: String, wanted: String },
    #[error(transparent)]
    Content(#[from] ContentError),
    /// DAX was asked for, but the kernel does not use it.
    #[error(
        "{fs} is mounted but DAX is not in effect ({seen}), so the volume was unmounted again: see dmesg on the node"
    )]
    DaxNotInEffect { fs: Filesystem, seen: String },
    /// The kernel does not mount it with DAX.
    #[error(
        "cannot mount {fs} of volume {volume} with {options}; dmesg on the node says why. A file system with blocks other \
         than 4 KiB, or with inline data, has no DAX; a damaged one is repaired with `e2fsck -f` or `xfs_repair` on the node"
    )]
    DaxRefused {
        fs: Filesystem,
        volume: String,
        options: String,
        #[source]
        source: FilesystemError,
    },
    /// Something that holds the device is in the way.
    #[error(
        "cannot {step} the volume: something else on the node has {} for itself, or mounted in another way. `lsblk`, \
         `dmsetup ls` and `grep {} /proc/*/mountinfo` show what",
        device.display(),
        device.display()
    )]
    Held {
        /// What was tried, as a verb.
        step: &'static str,
        device: PathBuf,
        #[source]
        source: FilesystemError,
    },
    #[error(transparent)]
    Path(#[from] FilesystemError),
    #[error("cannot {step} volume {volume}")]
    Filesystem {
        /// What was tried, as a verb.
        step: &'static str,
        volume: String,
        #[source]
        source: FilesystemError,
    },
    #[error("the work on the volume ended unexpectedly")]
    Thread(#[from] tokio::task::JoinError),
}

impl RpcError for NodeStageVolumeError {
    fn code(&self) -> Code {
        match self {
            Self::Request(error) => error.code(),
            Self::Options(_) => Code::InvalidArgument,
            Self::Busy(_) => Code::Aborted,
            Self::Volume(error) => error.code(),
            Self::Occupied { .. } | Self::Differs { .. } => Code::AlreadyExists,
            Self::Content(_) | Self::DaxNotInEffect { .. } | Self::DaxRefused { .. } | Self::Held { .. } => {
                Code::FailedPrecondition
            }
            Self::Path(_) | Self::Filesystem { .. } | Self::Thread(_) => Code::Internal,
        }
    }
}

impl NodeStageVolume {
    /// Checks a request.
    pub(super) fn parse(request: NodeStageVolumeRequest) -> Result<Self, BadRequest> {
        Ok(Self {
            volume: required("volume_id", request.volume_id)?,
            target: absolute("staging_target_path", request.staging_target_path)?,
            capability: request.volume_capability.try_into()?,
        })
    }

    /// Does the work. A block volume is only marked as in use: publishing shows its device.
    pub(super) fn run(&self, host: &Host) -> Result<(), NodeStageVolumeError> {
        let found = find_usable(host, &self.volume)?;
        match &self.capability.access {
            Access::Block => match found.usage {
                Use::First => self.mark_in_use(host).map(drop),
                Use::Again => self.recorded(host, found).map(drop),
            },
            Access::Mount { fs, flags } => {
                let target = host.filesystems.resolve(&self.target)?;
                let found = match found.usage {
                    Use::First => self.format(host, &found.device, fs.unwrap_or_default(), flags)?,
                    Use::Again => self.recorded(host, found)?,
                };
                let staging = Staging {
                    host,
                    volume: &self.volume,
                    device: &found.device,
                    number: found.number,
                    target: &target,
                    wanted: *fs,
                    flags,
                };
                staging.run()
            }
        }
    }

    /// Makes the file system of a volume that nobody had yet. One that was interrupted starts from scratch.
    fn format(
        &self,
        host: &Host,
        device: &VolumeDevice,
        fs: Filesystem,
        flags: &[String],
    ) -> Result<FoundVolume, NodeStageVolumeError> {
        let fs = large_enough(fs, device.usable)?;
        // Options that it cannot be mounted with are refused before anything is written.
        MountOptions::plan(fs, flags, device.dax == Dax::Offered)?;
        tracing::info!(volume = self.volume, device = %device.path.display(), %fs, "formatting");
        let formatted = host.filesystems.format(&device.path, fs, device.usable);
        formatted.map_err(|source| failed(host, "format", &self.volume, &device.path, source))?;
        self.mark_in_use(host)
    }

    /// The volume once its mark is on the device. A power loss would take the mark back that an earlier call could not write,
    /// and the volume would be formatted again with somebody's data in it. One that somebody uses was handed over before.
    fn recorded(&self, host: &Host, found: FoundVolume) -> Result<FoundVolume, NodeStageVolumeError> {
        if found.device.is_recorded || found.device.stage.is_none() {
            return Ok(found);
        }
        match self.mark_in_use(host) {
            Err(NodeStageVolumeError::Volume(VolumeError::Device {
                source: DeviceError::InUse { .. },
                ..
            })) => Ok(found),
            marked => marked,
        }
    }

    /// On the device it says so before anybody gets the volume: from then on nothing formats it. It has another device then.
    fn mark_in_use(&self, host: &Host) -> Result<FoundVolume, NodeStageVolumeError> {
        let marked = host.devices.mark(&self.volume, Stage::InUse);
        marked.map_err(|source| VolumeError::Device {
            volume: self.volume.clone(),
            source,
        })?;
        Ok(find_usable(host, &self.volume)?)
    }
}

/// One call at work, for a file system.
struct Staging<'a> {
    host: &'a Host,
    volume: &'a str,
    device: &'a VolumeDevice,
    number: DeviceNumber,
    target: &'a Path,
    wanted: Option<Filesystem>,
    flags: &'a [String],
}

impl Staging<'_> {
    fn run(&self) -> Result<(), NodeStageVolumeError> {
        let table = self.host.filesystems.mounts();
        let table = table.map_err(self.failed("look for mounts of"))?;
        if let Some(mount) = table.at(self.target) {
            let fs = self.same(mount)?;
            return self.verify(fs);
        }
        let (fs, options) = self.check()?;
        self.host.filesystems.make_directory(self.target)?;
        self.mount(fs, &options)?;
        self.verify(fs)?;
        self.report(fs, &options);
        Ok(())
    }

    /// The options for the file system that the device has or gets: what one allows, the other may not know.
    fn options(&self, fs: Filesystem) -> Result<MountOptions, OptionError> {
        MountOptions::plan(fs, self.flags, self.device.dax == Dax::Offered)
    }

    fn mount(&self, fs: Filesystem, options: &MountOptions) -> Result<(), NodeStageVolumeError> {
        let path = &self.device.path;
        let mounted = self.host.filesystems.mount(path, self.target, fs, options);
        mounted.map_err(|source| self.not_mounted(fs, options, source))
    }

    fn not_mounted(&self, fs: Filesystem, options: &MountOptions, source: FilesystemError) -> NodeStageVolumeError {
        match failed(self.host, "mount", self.volume, &self.device.path, source) {
            NodeStageVolumeError::Filesystem { volume, source, .. } if self.device.dax == Dax::Offered => {
                NodeStageVolumeError::DaxRefused {
                    fs,
                    volume,
                    options: options.to_argument(),
                    source,
                }
            }
            error => error,
        }
    }

    /// The file system of a mount at the staging path. Fails unless it is mounted as the request asks.
    fn same(&self, mount: &Mount) -> Result<Filesystem, NodeStageVolumeError> {
        if mount.device != self.number {
            return Err(NodeStageVolumeError::Occupied {
                target: self.target.to_owned(),
                device: mount.device,
            });
        }
        let fs: Option<Filesystem> = mount.fs_type.parse().ok();
        let read_only = self.options(fs.or(self.wanted).unwrap_or_default())?.read_only();
        match fs {
            Some(fs) if fs == self.wanted.unwrap_or(fs) && mount.read_only() == read_only => Ok(fs),
            _ => Err(NodeStageVolumeError::Differs {
                staged: described(&mount.fs_type, mount.read_only()),
                wanted: described(self.wanted.unwrap_or_default().name(), read_only),
            }),
        }
    }

    /// The file system on the device, checked unless it is mounted elsewhere, and the options to mount it with.
    ///
    /// A container that sees the directories of the host has a copy of each mount, which may outlive the mount itself. The
    /// kernel mounts the file system once more beside it.
    fn check(&self) -> Result<(Filesystem, MountOptions), NodeStageVolumeError> {
        let (filesystems, path) = (&*self.host.filesystems, &self.device.path);
        let content = filesystems.content(path);
        let content = content.map_err(self.failed("identify what is on"))?;
        let fs = filesystem_of(&content, self.wanted)?;
        let options = self.options(fs)?;
        let held = filesystems.is_held(path);
        if !held.map_err(self.failed("look who uses"))? {
            let checked = filesystems.check(path, fs);
            checked.map_err(self.failed("check the file system of"))?;
        }
        Ok((fs, options))
    }

    /// Unmounts the volume again if the device has DAX and it is not in effect.
    fn verify(&self, fs: Filesystem) -> Result<(), NodeStageVolumeError> {
        if self.device.dax != Dax::Offered {
            return Ok(());
        }
        let missing = match self.missing_dax() {
            Ok(None) => return Ok(()),
            Ok(Some(seen)) => NodeStageVolumeError::DaxNotInEffect { fs, seen },
            Err(error) => error,
        };
        let unmounted = self.host.filesystems.unmount(self.target);
        unmounted.map_err(self.failed("unmount, because DAX is not in effect on,"))?;
        Err(missing)
    }

    /// Why DAX is not in effect, or none if it is: the options that the kernel shows, or a new file that is not mapped directly.
    ///
    /// xfs only warns and goes on when a device has no DAX, ext4 leaves it out file by file. Where no file can be made, because
    /// the file system is full or read-only, the options alone have to do: its owner needs it to delete something.
    fn missing_dax(&self) -> Result<Option<String>, NodeStageVolumeError> {
        let filesystems = &*self.host.filesystems;
        let table = filesystems.mounts();
        let table = table.map_err(self.failed("look for mounts of"))?;
        let Some(mount) = table.at(self.target) else {
            return Ok(Some("it is not among the mounts".into()));
        };
        if !mount.shows_dax() {
            return Ok(Some(format!("mount options {}", mount.super_options)));
        }
        let direct = filesystems.maps_directly(self.target);
        let direct = direct.map_err(self.failed("check DAX on"))?;
        if direct.is_none() && !mount.read_only() {
            tracing::warn!(
                volume = self.volume,
                "no room for a file to check DAX with: dax=always is trusted, as the kernel shows it for the mount"
            );
        }
        Ok((direct == Some(false)).then(|| "statx of a new file does not show STATX_ATTR_DAX".into()))
    }

    fn report(&self, fs: Filesystem, options: &MountOptions) {
        let (volume, device) = (self.volume, self.device.path.display());
        let (options, backend) = (options.to_argument(), self.host.devices.backend());
        if self.device.dax == Dax::Offered {
            tracing::info!(volume, %device, %fs, options, "staged, DAX is in effect");
        } else {
            tracing::info!(volume, %device, %fs, options, backend, mode = ?self.device.mode, "staged without DAX: this device has none");
        }
    }

    fn failed(&self, step: &'static str) -> impl FnOnce(FilesystemError) -> NodeStageVolumeError {
        let volume = self.volume.to_owned();
        move |source| NodeStageVolumeError::Filesystem { step, volume, source }
    }
}

/// Why a step failed that needs the device for itself.
fn failed(
    host: &Host,
    step: &'static str,
    volume: &str,
    device: &Path,
    source: FilesystemError,
) -> NodeStageVolumeError {
    // What cannot be opened has another trouble, which `source` tells of.
    if host.filesystems.is_held(device).unwrap_or(false) {
        let device = device.to_owned();
        return NodeStageVolumeError::Held { step, device, source };
    }
    let volume = volume.to_owned();
    NodeStageVolumeError::Filesystem { step, volume, source }
}

fn described(fs: &str, read_only: bool) -> String {
    format!("{fs} {}", if read_only { "ro" } else { "rw" })
}
