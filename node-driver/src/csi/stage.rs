//! `NodeStageVolume`: formats a volume if it is blank, and mounts it once for the whole node.

use std::path::{Path, PathBuf};

use ::csi::v1::NodeStageVolumeRequest;
use tonic::Code;

use super::node::Host;
use super::paths::{PathError, make_directory, resolve};
use super::request::{absolute, required};
use super::{Access, BadRequest, Busy, Capability, Coded, VolumeError, volume};
use crate::devices::VolumeDevice;
use crate::filesystem::{
    DeviceNumber, FilesystemError, FsType, Mount, MountOptions, OptionError, Preparation, PrepareError, prepare,
};

/// What a call asks for.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) volume: String,
    target: PathBuf,
    capability: Capability,
}

/// Why a volume is not staged.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The request is not allowed.
    #[error(transparent)]
    Request(#[from] BadRequest),
    /// A mount option is not possible.
    #[error(transparent)]
    Options(#[from] OptionError),
    /// Another call works on the volume.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// There is no device.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// Something else is mounted there.
    #[error("{} is the mount point of another device ({device})", target.display())]
    Occupied {
        /// The staging path.
        target: PathBuf,
        /// The other device.
        device: DeviceNumber,
    },
    /// The volume is mounted there in another way.
    #[error("the volume is staged already as {staged}, but {wanted} was asked for: unstage it first")]
    Differs {
        /// How it is mounted.
        staged: String,
        /// What was asked for.
        wanted: String,
    },
    /// The device cannot be given the file system.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// DAX was asked for, but the kernel does not use it.
    #[error(
        "{fs} is mounted but DAX is not in effect ({seen}), so the volume was unmounted again: see dmesg on the node"
    )]
    DaxNotInEffect {
        /// The file system.
        fs: FsType,
        /// What was seen.
        seen: String,
    },
    /// The kernel does not mount it with DAX.
    #[error(
        "cannot mount {fs} of volume {volume} with {options}; dmesg on the node says why. A file system with blocks other \
         than 4 KiB, or with inline data, has no DAX"
    )]
    DaxRefused {
        /// The file system.
        fs: FsType,
        /// The volume.
        volume: String,
        /// The mount options.
        options: String,
        /// What failed.
        #[source]
        source: FilesystemError,
    },
    /// The staging path is not usable.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A tool or the kernel failed.
    #[error("cannot {step} volume {volume}")]
    Filesystem {
        /// What was tried, as a verb.
        step: &'static str,
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

impl Coded for StageError {
    fn code(&self) -> Code {
        match self {
            Self::Request(error) => error.code(),
            Self::Options(_) => Code::InvalidArgument,
            Self::Busy(_) => Code::Aborted,
            Self::Volume(error) => error.code(),
            Self::Occupied { .. } | Self::Differs { .. } => Code::AlreadyExists,
            Self::Prepare(_) | Self::DaxNotInEffect { .. } | Self::DaxRefused { .. } => Code::FailedPrecondition,
            Self::Path(_) | Self::Filesystem { .. } | Self::Lost(_) => Code::Internal,
        }
    }
}

impl Stage {
    /// Reads a request.
    pub(super) fn parse(request: NodeStageVolumeRequest) -> Result<Self, BadRequest> {
        Ok(Self {
            volume: required("volume_id", request.volume_id)?,
            target: absolute("staging_target_path", request.staging_target_path)?,
            capability: request.volume_capability.try_into()?,
        })
    }

    /// Does the work. A block volume needs none: publishing shows its device.
    pub(super) fn run(&self, host: &Host) -> Result<(), StageError> {
        let found = volume::find(&*host.devices, &*host.filesystems, &self.volume)?;
        match &self.capability.access {
            Access::Block => Ok(()),
            Access::Mount { fs, flags } => {
                let options = MountOptions::plan(flags, found.0.dax)?;
                let staging = Staging {
                    host,
                    volume: &self.volume,
                    device: &found.0,
                    number: found.1,
                    target: &resolve(&self.target)?,
                    wanted: *fs,
                    options,
                };
                staging.run()
            }
        }
    }
}

/// Staging a file system, with all that it needs at hand.
struct Staging<'a> {
    host: &'a Host,
    volume: &'a str,
    device: &'a VolumeDevice,
    number: DeviceNumber,
    target: &'a Path,
    wanted: Option<FsType>,
    options: MountOptions,
}

impl Staging<'_> {
    fn run(&self) -> Result<(), StageError> {
        let table = self.host.filesystems.mounts();
        let table = table.map_err(self.failed("look for mounts of"))?;
        if let Some(mount) = table.at(self.target) {
            let fs = self.same(mount)?;
            return self.verify(fs);
        }
        let fs = self.prepare(table.of(self.number).next().is_some())?;
        make_directory(self.target)?;
        self.mount(fs)?;
        self.verify(fs)?;
        self.report(fs);
        Ok(())
    }

    fn mount(&self, fs: FsType) -> Result<(), StageError> {
        let (path, options) = (&self.device.path, &self.options);
        let mounted = self.host.filesystems.mount(path, self.target, fs, options);
        if !self.device.dax {
            return mounted.map_err(self.failed("mount"));
        }
        mounted.map_err(|source| StageError::DaxRefused {
            fs,
            volume: self.volume.to_owned(),
            options: options.to_argument(),
            source,
        })
    }

    /// The file system of a mount at the staging path, if it is the one that was asked for.
    fn same(&self, mount: &Mount) -> Result<FsType, StageError> {
        if mount.device != self.number {
            return Err(StageError::Occupied {
                target: self.target.to_owned(),
                device: mount.device,
            });
        }
        let (fs, read_only) = (mount.fs_type.parse().ok(), self.options.read_only());
        match fs {
            Some(fs) if fs == self.wanted.unwrap_or(fs) && mount.read_only() == read_only => Ok(fs),
            _ => Err(StageError::Differs {
                staged: described(&mount.fs_type, mount.read_only()),
                wanted: described(self.wanted.unwrap_or_default().name(), read_only),
            }),
        }
    }

    /// Makes sure that the device has a file system that can be mounted.
    fn prepare(&self, mounted_elsewhere: bool) -> Result<FsType, StageError> {
        let (filesystems, path) = (&*self.host.filesystems, &self.device.path);
        let content = filesystems.content(path);
        let content = content.map_err(self.failed("identify what is on"))?;
        match prepare(&content, self.wanted, self.device.usable)? {
            Preparation::Format(fs) => {
                tracing::info!(volume = self.volume, device = %path.display(), %fs, ?content, "formatting");
                let made = filesystems.format(path, fs, self.device.usable, &content);
                made.map_err(self.failed("format"))?;
                Ok(fs)
            }
            Preparation::Use(fs) if mounted_elsewhere => Ok(fs),
            Preparation::Use(fs) => {
                let checked = filesystems.check(path, fs);
                checked.map_err(self.failed("check the file system of"))?;
                Ok(fs)
            }
        }
    }

    /// Unmounts the volume again if DAX was promised and is not in effect.
    fn verify(&self, fs: FsType) -> Result<(), StageError> {
        if !self.device.dax {
            return Ok(());
        }
        let missing = match self.missing_dax() {
            Ok(None) => return Ok(()),
            Ok(Some(seen)) => StageError::DaxNotInEffect { fs, seen },
            Err(error) => error,
        };
        let unmounted = self.host.filesystems.unmount(self.target);
        unmounted.map_err(self.failed("unmount, because DAX is not in effect on,"))?;
        Err(missing)
    }

    /// What speaks against DAX, if anything: the options that the kernel shows, or a new file that is not mapped directly.
    ///
    /// xfs only warns and goes on when a device has no DAX, ext4 leaves it out file by file.
    fn missing_dax(&self) -> Result<Option<String>, StageError> {
        let filesystems = &*self.host.filesystems;
        let table = filesystems.mounts();
        let table = table.map_err(self.failed("look for mounts of"))?;
        let Some(mount) = table.at(self.target) else {
            return Ok(Some("it is not among the mounts".into()));
        };
        if !mount.says_dax() {
            return Ok(Some(format!("mount options {}", mount.super_options)));
        }
        // Nothing can be made on a read-only mount, and the option alone has to do.
        if mount.read_only() {
            return Ok(None);
        }
        let direct = filesystems.maps_directly(self.target);
        let direct = direct.map_err(self.failed("check DAX on"))?;
        Ok((!direct).then(|| "statx of a new file does not show STATX_ATTR_DAX".into()))
    }

    fn report(&self, fs: FsType) {
        let (volume, device) = (self.volume, self.device.path.display());
        let (options, backend) = (self.options.to_argument(), self.host.devices.backend());
        if self.device.dax {
            tracing::info!(volume, %device, %fs, options, "staged, DAX is in effect");
        } else {
            tracing::info!(volume, %device, %fs, options, backend, mode = ?self.device.mode, "staged without DAX: this device has none");
        }
    }

    fn failed(&self, step: &'static str) -> impl FnOnce(FilesystemError) -> StageError {
        let volume = self.volume.to_owned();
        move |source| StageError::Filesystem { step, volume, source }
    }
}

fn described(fs: &str, read_only: bool) -> String {
    format!("{fs} {}", if read_only { "ro" } else { "rw" })
}
