//! The CSI services over a pipe in memory, against an API server in memory.

use std::time::Duration;

use crds::{Phase, PmemVolume, PmemVolumeStatus};
use csi::v1::controller_client::ControllerClient;
use csi::v1::identity_client::IdentityClient;
use csi::v1::volume_capability::access_mode::Mode;
use csi::v1::volume_capability::{AccessMode, AccessType, MountVolume};
use csi::v1::{
    CapacityRange, CreateVolumeRequest, GetCapacityRequest, Topology, TopologyRequirement, Volume, VolumeCapability,
};
use daxfit_operator::controller::Service;
use daxfit_operator::identity::identity;
use daxfit_operator::index::SharedIndex;
use daxfit_operator::serve::serve;
use futures::future::ready;
use futures::{StreamExt, stream};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::support::api_server::{ApiServer, NodeDriver};
use crate::support::{class, index, plain_node};

/// Nothing takes that long here.
pub const TIME_LIMIT: Duration = Duration::from_secs(300);
pub const MIB: i64 = 1 << 20;

pub struct Setup {
    pub server: ApiServer,
    pub index: SharedIndex,
    pub service: Service,
    pub controller: ControllerClient<Channel>,
    pub identity: IdentityClient<Channel>,
    pub stop: CancellationToken,
}

/// Nodes a, b and c with one hole of 512, 64 and 128 MiB each.
pub async fn setup(driver: NodeDriver) -> Setup {
    let nodes = vec![plain_node("a", 512), plain_node("b", 64), plain_node("c", 128)];
    setup_with(index(nodes, vec![], vec![class("dev", &[])]), driver).await
}

pub async fn setup_with(index: SharedIndex, driver: NodeDriver) -> Setup {
    let (server, client) = ApiServer::start(&index, driver);
    let stop = CancellationToken::new();
    let service = Service::new(client, index.clone(), stop.clone());
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    // A listener never ends.
    let incoming = stream::once(ready(Ok::<_, std::io::Error>(theirs))).chain(stream::pending());
    tokio::spawn(serve(incoming, identity(index.clone()), service.clone(), stop.clone()));
    let mut ours = Some(TokioIo::new(ours));
    let connector = tower::service_fn(move |_| {
        let pipe = ours.take().ok_or(std::io::ErrorKind::NotConnected);
        async move { pipe.map_err(std::io::Error::from) }
    });
    let channel = Endpoint::from_static("http://pipe")
        .connect_with_connector(connector)
        .await
        .unwrap();
    let (controller, identity) = (ControllerClient::new(channel.clone()), IdentityClient::new(channel));
    Setup {
        server,
        index,
        service,
        controller,
        identity,
        stop,
    }
}

impl Setup {
    pub async fn create(&mut self, request: CreateVolumeRequest) -> Result<Volume, Status> {
        let answer = self.controller.create_volume(request).await?;
        Ok(answer.into_inner().volume.unwrap())
    }

    pub async fn refused(&mut self, request: CreateVolumeRequest, code: Code, says: &str) {
        let status = self.create(request).await.unwrap_err();
        assert_eq!(status.code(), code, "{}", status.message());
        assert!(status.message().contains(says), "{}", status.message());
    }
}

/// The node makes every volume, as large as it has to be.
pub fn makes(volume: &PmemVolume) -> PmemVolumeStatus {
    let mode = volume.spec.request().mode;
    let align = placement::Bytes::mib(2).try_into().unwrap();
    let raw = mode.footprint(align, volume.spec.required, None).unwrap();
    PmemVolumeStatus {
        phase: Some(Phase::Ready),
        usable: Some(mode.usable(raw)),
        ..PmemVolumeStatus::default()
    }
}

/// The node refuses every volume.
pub fn refuses(_: &PmemVolume) -> PmemVolumeStatus {
    let condition = json!({
        "type": "Provisioned", "status": "False", "reason": "Refused", "lastTransitionTime": "2026-01-01T00:00:00Z",
        "message": "asked 28 MiB; largest extent 14 MiB, 16 MiB free in 1 extent",
    });
    serde_json::from_value(json!({"phase": "Refused", "conditions": [condition]})).unwrap()
}

/// The node has a namespace of that name, of another mode.
pub fn meets_another(_: &PmemVolume) -> PmemVolumeStatus {
    let condition = json!({
        "type": "Provisioned", "status": "False", "reason": "WrongMode", "lastTransitionTime": "2026-01-01T00:00:00Z",
        "message": "namespace n0.0 has mode Fsdax, but the volume asks for Sector: save what is in it, then delete its claim",
    });
    serde_json::from_value(json!({"conditions": [condition]})).unwrap()
}

/// The node had a namespace of the volume, which is gone.
pub fn lost(volume: &PmemVolume) -> PmemVolumeStatus {
    let condition = json!({
        "type": "Provisioned", "status": "False", "reason": "NamespaceGone", "lastTransitionTime": "2026-01-01T00:00:00Z",
        "message": "namespace pvc-1 is gone: bring its labels back before its bytes are used for others, or delete its claim",
    });
    PmemVolumeStatus {
        conditions: serde_json::from_value(json!([condition])).unwrap(),
        ..makes(volume)
    }
}

/// The node's driver does not run.
pub fn silent(_: &PmemVolume) -> PmemVolumeStatus {
    PmemVolumeStatus::default()
}

pub fn topology(nodes: &[&str]) -> Vec<Topology> {
    let one = |node: &&str| Topology {
        segments: [(crds::TOPOLOGY_KEY.into(), (*node).into())].into(),
    };
    nodes.iter().map(one).collect()
}

/// As external-provisioner asks, with --strict-topology and --extra-create-metadata.
pub fn request(bytes: i64, nodes: &[&str]) -> CreateVolumeRequest {
    let parameters = [
        ("csi.storage.k8s.io/pvc/name", "claim"),
        ("csi.storage.k8s.io/pvc/namespace", "default"),
        ("csi.storage.k8s.io/pv/name", "pvc-1"),
    ];
    CreateVolumeRequest {
        name: "pvc-1".into(),
        capacity_range: Some(CapacityRange {
            required_bytes: bytes,
            limit_bytes: 0,
        }),
        volume_capabilities: vec![capability("ext4", Mode::SingleNodeWriter)],
        parameters: parameters.map(|(name, value)| (name.into(), value.into())).into(),
        accessibility_requirements: Some(TopologyRequirement {
            requisite: topology(nodes),
            preferred: topology(nodes),
        }),
        ..CreateVolumeRequest::default()
    }
}

pub fn capability(fs_type: &str, mode: Mode) -> VolumeCapability {
    let mount = MountVolume {
        fs_type: fs_type.into(),
        ..MountVolume::default()
    };
    VolumeCapability {
        access_type: Some(AccessType::Mount(mount)),
        access_mode: Some(AccessMode { mode: mode.into() }),
    }
}

pub fn in_a() -> GetCapacityRequest {
    GetCapacityRequest {
        accessible_topology: topology(&["a"]).pop(),
        ..GetCapacityRequest::default()
    }
}
