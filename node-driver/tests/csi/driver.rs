//! A driver with fake devices and a fake kernel, served on a real socket.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use csi::v1::identity_client::IdentityClient;
use csi::v1::node_client::NodeClient;
use csi::v1::volume_capability::access_mode::Mode;
use csi::v1::volume_capability::{AccessMode, AccessType, BlockVolume, MountVolume};
use csi::v1::{
    NodeGetVolumeStatsRequest, NodePublishVolumeRequest, NodeStageVolumeRequest, NodeUnpublishVolumeRequest,
    NodeUnstageVolumeRequest, VolumeCapability,
};
use placement::Bytes;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use super::fakes::{FakeDevices, FakeKernel, device};
use node_driver::csi::{DeviceReadiness, NodeService, ServeError, identity, serve};
use node_driver::devices::{Dax, Devices, Stage};
use node_driver::filesystem::Content;
use node_driver::volumes::EarlierVolumes;

/// What a loaded machine may take at most.
pub const TIME_LIMIT: Duration = Duration::from_secs(60);

pub struct Driver {
    pub dir: TempDir,
    pub devices: Arc<FakeDevices>,
    pub kernel: Arc<FakeKernel>,
    pub earlier: EarlierVolumes,
    pub node: NodeClient<Channel>,
    pub identity: IdentityClient<Channel>,
    pub shutdown: CancellationToken,
    pub server: JoinHandle<Result<(), ServeError>>,
}

impl Driver {
    /// One DAX volume "v" of 512 MiB on a blank device.
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let devices = Arc::<FakeDevices>::default();
        let kernel = Arc::new(FakeKernel::new());
        let socket = csi::Socket::bind(&dir.path().join("csi.sock")).unwrap();
        let shutdown = CancellationToken::new();
        let earlier = EarlierVolumes::default();
        let service = NodeService::new("n1".into(), devices.clone(), kernel.clone(), earlier.clone());
        let readiness = DeviceReadiness::new(&(devices.clone() as Arc<dyn Devices>));
        let identity = identity(&*devices, Arc::new(readiness));
        let server = tokio::spawn(serve(socket, identity, service, shutdown.clone()));
        let uri = format!("unix:{}", dir.path().join("csi.sock").display());
        let channel = Endpoint::try_from(uri).unwrap().connect().await.unwrap();
        let driver = Self {
            dir,
            devices,
            kernel,
            earlier,
            node: NodeClient::new(channel.clone()),
            identity: IdentityClient::new(channel),
            shutdown,
            server,
        };
        driver.add("v", Bytes::mib(512), true);
        driver
    }

    pub fn add(&self, volume: &str, usable: Bytes, dax: bool) {
        let path = PathBuf::from(format!("/dev/{volume}"));
        self.kernel.add_device(&path, Content::Blank);
        let mut volumes = self.devices.volumes.lock().unwrap();
        volumes.insert(volume.into(), device(&path, usable, dax));
    }

    /// How far the volume "v" has come on its device.
    pub fn set_stage(&self, stage: Option<Stage>) {
        let mut volumes = self.devices.volumes.lock().unwrap();
        volumes.get_mut("v").unwrap().stage = stage;
    }

    pub fn stage_of_v(&self) -> Option<Stage> {
        self.devices.volumes.lock().unwrap()["v"].stage
    }

    /// The kernel shows no DAX on the device of "v", whose mode promises it.
    pub fn lose_dax(&self) {
        let mut volumes = self.devices.volumes.lock().unwrap();
        volumes.get_mut("v").unwrap().dax = Dax::Missing;
    }

    /// Something else on the node has the device of "v" for itself.
    pub fn hold(&self) {
        self.kernel.state().held.insert("/dev/v".into());
    }

    pub fn set_content(&self, content: Content) {
        let mut state = self.kernel.state();
        state.content.insert("/dev/v".into(), content);
    }

    /// A path in the directory of this test, as the table of mounts has it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    pub fn stage(&self) -> NodeStageVolumeRequest {
        NodeStageVolumeRequest {
            volume_id: "v".into(),
            staging_target_path: text(&self.path("staging")),
            volume_capability: Some(mount_as("", &[])),
            ..NodeStageVolumeRequest::default()
        }
    }

    pub fn unstage(&self) -> NodeUnstageVolumeRequest {
        NodeUnstageVolumeRequest {
            volume_id: "v".into(),
            staging_target_path: text(&self.path("staging")),
        }
    }

    pub fn publish(&self) -> NodePublishVolumeRequest {
        NodePublishVolumeRequest {
            volume_id: "v".into(),
            staging_target_path: text(&self.path("staging")),
            target_path: text(&self.path("target")),
            volume_capability: Some(mount_as("", &[])),
            ..NodePublishVolumeRequest::default()
        }
    }

    pub fn unpublish(&self) -> NodeUnpublishVolumeRequest {
        NodeUnpublishVolumeRequest {
            volume_id: "v".into(),
            target_path: text(&self.path("target")),
        }
    }

    pub fn stats(&self) -> NodeGetVolumeStatsRequest {
        NodeGetVolumeStatsRequest {
            volume_id: "v".into(),
            volume_path: text(&self.path("target")),
            staging_target_path: String::new(),
        }
    }
}

pub fn text(path: &Path) -> String {
    path.display().to_string()
}

pub fn mount_as(fs: &str, flags: &[&str]) -> VolumeCapability {
    with_mode(
        Mode::SingleNodeWriter,
        AccessType::Mount(MountVolume {
            fs_type: fs.into(),
            mount_flags: flags.iter().map(ToString::to_string).collect(),
            volume_mount_group: String::new(),
        }),
    )
}

pub fn block() -> VolumeCapability {
    with_mode(Mode::SingleNodeWriter, AccessType::Block(BlockVolume {}))
}

pub fn with_mode(mode: Mode, access: AccessType) -> VolumeCapability {
    VolumeCapability {
        access_type: Some(access),
        access_mode: Some(AccessMode { mode: mode.into() }),
    }
}

/// The same capability for other users.
pub fn shared(capability: VolumeCapability, mode: Mode) -> VolumeCapability {
    with_mode(mode, capability.access_type.unwrap())
}
