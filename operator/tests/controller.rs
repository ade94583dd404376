//! The CSI services over a pipe in memory, against an API server in memory.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here is a failed test")]

mod support;

use std::time::Duration;

use crds::{Phase, PmemVolume, PmemVolumeStatus};
use csi::v1::controller_client::ControllerClient;
use csi::v1::identity_client::IdentityClient;
use csi::v1::volume_capability::access_mode::Mode;
use csi::v1::volume_capability::{AccessMode, AccessType, MountVolume};
use csi::v1::{
    CapacityRange, ControllerGetVolumeRequest, CreateVolumeRequest, DeleteVolumeRequest, GetCapacityRequest,
    ListVolumesRequest, ProbeRequest, Topology, TopologyRequirement, ValidateVolumeCapabilitiesRequest, Volume,
    VolumeCapability, VolumeContentSource,
};
use daxfit_operator::controller::{CreateError, Service};
use daxfit_operator::identity::Plugin;
use daxfit_operator::index::SharedIndex;
use daxfit_operator::serve::serve;
use futures::future::ready;
use futures::{StreamExt, stream};
use hyper_util::rt::TokioIo;
use serde_json::json;
use support::api_server::{ApiServer, NodeDriver};
use support::{class, index, plain_node, volume, with_status};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

const MIB: i64 = 1 << 20;

struct Setup {
    server: ApiServer,
    index: SharedIndex,
    service: Service,
    controller: ControllerClient<Channel>,
    identity: IdentityClient<Channel>,
    stop: CancellationToken,
}

/// Nodes a, b and c with one hole of 512, 64 and 128 MiB each.
async fn setup(driver: NodeDriver) -> Setup {
    let nodes = vec![plain_node("a", 512), plain_node("b", 64), plain_node("c", 128)];
    setup_with(index(nodes, vec![], vec![class("dev", &[])]), driver).await
}

async fn setup_with(index: SharedIndex, driver: NodeDriver) -> Setup {
    let (server, client) = ApiServer::start(&index, driver);
    let stop = CancellationToken::new();
    let service = Service::new(client, index.clone(), stop.clone());
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    // A listener never ends.
    let incoming = stream::once(ready(Ok::<_, std::io::Error>(theirs))).chain(stream::pending());
    tokio::spawn(serve(
        incoming,
        Plugin::new(index.clone()),
        service.clone(),
        stop.clone(),
    ));
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
    async fn create(&mut self, request: CreateVolumeRequest) -> Result<Volume, Status> {
        let answer = self.controller.create_volume(request).await?;
        Ok(answer.into_inner().volume.unwrap())
    }

    async fn refused(&mut self, request: CreateVolumeRequest, code: Code, says: &str) {
        let status = self.create(request).await.unwrap_err();
        assert_eq!(status.code(), code, "{}", status.message());
        assert!(status.message().contains(says), "{}", status.message());
    }
}

/// The node makes every volume, as large as it has to be.
fn makes(volume: &PmemVolume) -> PmemVolumeStatus {
    let mode = volume.spec.want().mode;
    let align = placement::Bytes::mib(2).try_into().unwrap();
    let raw = mode.footprint(align, volume.spec.required, None).unwrap();
    PmemVolumeStatus {
        phase: Some(Phase::Ready),
        usable: Some(mode.usable(raw)),
        ..PmemVolumeStatus::default()
    }
}

/// The node refuses every volume.
fn refuses(_: &PmemVolume) -> PmemVolumeStatus {
    let condition = json!({
        "type": "Provisioned", "status": "False", "reason": "Refused", "lastTransitionTime": "2026-01-01T00:00:00Z",
        "message": "asked 28 MiB; largest extent 14 MiB, 16 MiB free in 1 extent",
    });
    serde_json::from_value(json!({"phase": "Refused", "conditions": [condition]})).unwrap()
}

/// The node's driver does not run.
fn silent(_: &PmemVolume) -> PmemVolumeStatus {
    PmemVolumeStatus::default()
}

fn topology(nodes: &[&str]) -> Vec<Topology> {
    let one = |node: &&str| Topology {
        segments: [(crds::TOPOLOGY_KEY.into(), (*node).into())].into(),
    };
    nodes.iter().map(one).collect()
}

/// As external-provisioner asks, with --strict-topology and --extra-create-metadata.
fn request(bytes: i64, nodes: &[&str]) -> CreateVolumeRequest {
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

fn capability(fs_type: &str, mode: Mode) -> VolumeCapability {
    let mount = MountVolume {
        fs_type: fs_type.into(),
        ..MountVolume::default()
    };
    VolumeCapability {
        access_type: Some(AccessType::Mount(mount)),
        access_mode: Some(AccessMode { mode: mode.into() }),
    }
}

#[tokio::test]
async fn bound() {
    let mut setup = setup(makes).await;
    let volume = setup.create(request(28 * MIB, &["a"])).await.unwrap();
    assert_eq!((volume.volume_id.as_str(), volume.capacity_bytes), ("pvc-1", 28 * MIB));
    assert_eq!(volume.accessible_topology, topology(&["a"]));
    assert_eq!(
        volume.volume_context.get("csi.daxfit.dev/mode").map(String::as_str),
        Some("fsdax")
    );
    let written = setup.server.volume("pvc-1").unwrap();
    assert_eq!(written.metadata.finalizers, Some(vec![crds::FINALIZER.into()]));
    assert_eq!(
        (written.spec.node.as_str(), written.spec.required.get()),
        ("a", 28 * MIB)
    );
    assert_eq!(written.spec.claim.unwrap().name, "claim");
}

#[tokio::test]
async fn refused_by_the_node_frees_the_name() {
    let mut setup = setup(refuses).await;
    setup
        .refused(
            request(28 * MIB, &["a"]),
            Code::ResourceExhausted,
            "largest extent 14 MiB",
        )
        .await;
    assert_eq!(setup.server.volume("pvc-1"), None);
}

#[tokio::test]
async fn refused_volume_of_an_earlier_call_is_cleared_away() {
    let mut setup = setup(silent).await;
    let refused = serde_json::to_value(refuses(&volume("pvc-1", "b", 28))).unwrap();
    setup.server.add_volume(&with_status(volume("pvc-1", "b", 28), refused));
    setup
        .refused(request(28 * MIB, &["a"]), Code::ResourceExhausted, "node b refused")
        .await;
    assert_eq!(setup.server.volume("pvc-1"), None);
}

#[tokio::test]
async fn does_not_fit_writes_nothing() {
    let mut setup = setup(makes).await;
    setup
        .refused(
            request(100 * MIB, &["b"]),
            Code::ResourceExhausted,
            "asked 100 MiB; largest extent 62 MiB",
        )
        .await;
    setup
        .refused(
            request(900 * MIB, &["a", "b"]),
            Code::ResourceExhausted,
            "none of 2 nodes; nearest is node a",
        )
        .await;
    setup
        .refused(
            request(1, &["unknown"]),
            Code::ResourceExhausted,
            "node unknown has not published",
        )
        .await;
    assert_eq!(setup.server.take_writes(), Vec::<String>::new());
}

#[tokio::test]
async fn retry_finds_it() {
    let mut setup = setup(makes).await;
    let first = setup.create(request(28 * MIB, &["a"])).await.unwrap();
    setup.server.take_writes();
    assert_eq!(setup.create(request(28 * MIB, &["a"])).await.unwrap(), first);
    assert_eq!(setup.server.take_writes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_slow_node_is_waited_for_and_the_object_stays() {
    let setup = setup(silent).await;
    let ask = request(28 * MIB, &["a"]);
    let late = setup.service.create(&ask, Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(late, CreateError::Deadline { .. }), "{late}");
    assert_eq!(late.code(), Code::DeadlineExceeded);

    let retry = {
        let (service, ask) = (setup.service.clone(), ask.clone());
        tokio::spawn(async move { service.create(&ask, Duration::from_mins(5)).await })
    };
    let written = setup.server.volume("pvc-1").unwrap();
    let status = Some(makes(&written));
    setup.index.apply(PmemVolume { status, ..written });
    assert_eq!(retry.await.unwrap().unwrap().capacity_bytes, 28 * MIB);
}

#[tokio::test]
async fn another_call_at_work_is_aborted() {
    let setup = setup(silent).await;
    let ask = request(28 * MIB, &["a"]);
    let first = {
        let (service, ask) = (setup.service.clone(), ask.clone());
        tokio::spawn(async move { service.create(&ask, Duration::from_mins(5)).await })
    };
    setup.index.wait_for(|index| index.volume("pvc-1").map(|_| ())).await;
    let second = setup.service.create(&ask, Duration::from_mins(5)).await.unwrap_err();
    assert!(matches!(second, CreateError::Busy(_)), "{second}");
    let delete = DeleteVolumeRequest {
        volume_id: "pvc-1".into(),
        ..DeleteVolumeRequest::default()
    };
    assert_eq!(setup.service.delete(&delete).await.unwrap_err().code(), Code::Aborted);
    setup.stop.cancel();
    assert_eq!(first.await.unwrap().unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn other_parameters_already_exist() {
    let mut setup = setup(makes).await;
    setup.create(request(28 * MIB, &["a"])).await.unwrap();
    setup
        .refused(request(30 * MIB, &["a"]), Code::AlreadyExists, "it has 28 MiB")
        .await;
    let mut small = request(1, &["a"]);
    small.capacity_range = Some(CapacityRange {
        required_bytes: 1,
        limit_bytes: 20 * MIB,
    });
    setup
        .refused(
            small,
            Code::AlreadyExists,
            "it has 28 MiB, and this call asks for 1 B to 20 MiB",
        )
        .await;
    let mut sector = request(28 * MIB, &["a"]);
    sector.parameters.insert("csi.daxfit.dev/mode".into(), "sector".into());
    setup.refused(sector, Code::AlreadyExists, "mode fsdax").await;
    let mut numa = request(28 * MIB, &["a"]);
    numa.parameters.insert("csi.daxfit.dev/numa".into(), "0".into());
    setup.refused(numa, Code::AlreadyExists, "NUMA node any").await;
}

#[tokio::test]
async fn deleting_is_aborted_and_stays_until_erased() {
    let mut setup = setup(makes).await;
    setup.create(request(28 * MIB, &["a"])).await.unwrap();
    let delete = DeleteVolumeRequest {
        volume_id: "pvc-1".into(),
        ..DeleteVolumeRequest::default()
    };
    setup.controller.delete_volume(delete.clone()).await.unwrap();
    assert!(
        setup
            .server
            .volume("pvc-1")
            .unwrap()
            .metadata
            .deletion_timestamp
            .is_some()
    );
    let capacity = setup.controller.get_capacity(in_a()).await.unwrap().into_inner();
    assert_eq!(
        capacity.available_capacity,
        474 * MIB,
        "the space is taken until it is erased"
    );
    setup.controller.delete_volume(delete).await.unwrap();
    setup
        .refused(request(28 * MIB, &["a"]), Code::Aborted, "being deleted on node a")
        .await;
}

fn in_a() -> GetCapacityRequest {
    GetCapacityRequest {
        accessible_topology: topology(&["a"]).pop(),
        ..GetCapacityRequest::default()
    }
}

#[tokio::test]
async fn deleting_what_does_not_exist_is_fine() {
    let mut setup = setup(makes).await;
    for id in ["pvc-2", "../../nodes/a", "Not An Id"] {
        let delete = DeleteVolumeRequest {
            volume_id: id.into(),
            ..DeleteVolumeRequest::default()
        };
        setup.controller.delete_volume(delete).await.unwrap();
    }
    let none = setup
        .controller
        .delete_volume(DeleteVolumeRequest::default())
        .await
        .unwrap_err();
    assert_eq!(none.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let mut setup = setup(makes).await;
    let mut mode = request(MIB, &["a"]);
    mode.parameters.insert("csi.daxfit.dev/mode".into(), "dax".into());
    setup
        .refused(
            mode,
            Code::InvalidArgument,
            "csi.daxfit.dev/mode is \"dax\": allowed are fsdax, sector",
        )
        .await;
    let mut unknown = request(MIB, &["a"]);
    unknown.parameters.insert("size".into(), "big".into());
    setup
        .refused(
            unknown,
            Code::InvalidArgument,
            "unknown StorageClass parameter \"size\"",
        )
        .await;
    let mut shared = request(MIB, &["a"]);
    shared.volume_capabilities = vec![capability("", Mode::MultiNodeMultiWriter)];
    setup.refused(shared, Code::InvalidArgument, "ReadWriteOnce").await;
    let mut copy = request(MIB, &["a"]);
    copy.volume_content_source = Some(VolumeContentSource::default());
    setup.refused(copy, Code::InvalidArgument, "dataSource").await;
    let mut nameless = request(MIB, &["a"]);
    nameless.name = String::new();
    setup.refused(nameless, Code::InvalidArgument, "no name").await;
    assert_eq!(setup.server.take_writes(), Vec::<String>::new());
}

#[tokio::test]
async fn sizes_that_make_no_sense_are_refused() {
    let mut setup = setup(makes).await;
    setup
        .refused(request(0, &["a"]), Code::InvalidArgument, "0 bytes")
        .await;
    setup
        .refused(request(-1, &["a"]), Code::InvalidArgument, "required_bytes is -1")
        .await;
    // What Kubernetes makes of a claim of more than i64.
    setup
        .refused(
            request(i64::MAX, &["a"]),
            Code::OutOfRange,
            "no namespace can be that large",
        )
        .await;
    let mut tight = request(MIB, &["a"]);
    tight.capacity_range = Some(CapacityRange {
        required_bytes: MIB,
        limit_bytes: 2 * MIB,
    });
    setup
        .refused(
            tight,
            Code::OutOfRange,
            "asked 1 MiB to 2 MiB, but the smallest namespace with 1 MiB has 14 MiB",
        )
        .await;
    let mut xfs = request(200 * MIB, &["a"]);
    xfs.volume_capabilities = vec![capability("xfs", Mode::SingleNodeWriter)];
    setup.refused(xfs, Code::OutOfRange, "xfs needs at least 300 MiB").await;
    assert_eq!(setup.server.take_writes(), Vec::<String>::new());
}

#[tokio::test]
async fn no_size_is_the_smallest_volume() {
    let mut setup = setup(makes).await;
    let ask = CreateVolumeRequest {
        capacity_range: None,
        ..request(1, &["a"])
    };
    assert_eq!(setup.create(ask).await.unwrap().capacity_bytes, 14 * MIB);
}

#[tokio::test]
async fn immediate_binding_picks_the_best_fit() {
    let mut setup = setup(makes).await;
    let any = setup.create(request(50 * MIB, &["a", "b", "c"])).await.unwrap();
    assert_eq!(any.accessible_topology, topology(&["b"]));
    let mut anywhere = request(100 * MIB, &[]);
    anywhere.name = "pvc-2".into();
    anywhere.accessibility_requirements = None;
    assert_eq!(
        setup.create(anywhere).await.unwrap().accessible_topology,
        topology(&["c"])
    );
    let mut preferred = request(50 * MIB, &["a", "b", "c"]);
    preferred.name = "pvc-3".into();
    preferred.accessibility_requirements.as_mut().unwrap().preferred = topology(&["a"]);
    assert_eq!(
        setup.create(preferred).await.unwrap().accessible_topology,
        topology(&["a"])
    );
}

#[tokio::test]
async fn calls_at_the_same_time_never_count_on_the_same_bytes() {
    let setup = setup(silent).await;
    let ask = |name: &str| CreateVolumeRequest {
        name: name.into(),
        ..request(50 * MIB, &["b", "c"])
    };
    let calls = ["pvc-1", "pvc-2", "pvc-3"].map(|name| {
        let (service, ask) = (setup.service.clone(), ask(name));
        tokio::spawn(async move { service.create(&ask, Duration::from_mins(5)).await })
    });
    let all = |index: &daxfit_operator::index::Index| {
        (index.volumes().count() == 3).then(|| index.volumes().map(|v| v.spec.node.clone()).collect::<Vec<_>>())
    };
    let mut nodes = setup.index.wait_for(all).await;
    nodes.sort();
    assert_eq!(nodes, ["b", "c", "c"]);
    let full = setup
        .service
        .create(&ask("pvc-4"), Duration::from_mins(5))
        .await
        .unwrap_err();
    assert_eq!(full.code(), Code::ResourceExhausted, "{full}");
    setup.stop.cancel();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap_err().code(), Code::Unavailable);
    }
}

#[tokio::test]
async fn wanted_on_another_node_moves_what_nobody_uses() {
    let mut setup = setup(makes).await;
    setup.create(request(28 * MIB, &["a"])).await.unwrap();
    setup
        .refused(
            request(28 * MIB, &["b"]),
            Code::Aborted,
            "on node a, where it is not wanted any more",
        )
        .await;
    assert!(
        setup
            .server
            .volume("pvc-1")
            .unwrap()
            .metadata
            .deletion_timestamp
            .is_some()
    );
}

#[tokio::test]
async fn wanted_on_another_node_never_moves_what_a_persistent_volume_stands_for() {
    let mut setup = setup(makes).await;
    setup.create(request(28 * MIB, &["a"])).await.unwrap();
    let bound =
        json!({"metadata": {"name": "pvc-1"}, "spec": {"csi": {"driver": "csi.daxfit.dev", "volumeHandle": "pvc-1"}}});
    setup.server.store("/api/v1/persistentvolumes/pvc-1".into(), bound);
    setup
        .refused(
            request(28 * MIB, &["b"]),
            Code::FailedPrecondition,
            "PersistentVolume pvc-1 stands for it",
        )
        .await;
    assert_eq!(setup.server.volume("pvc-1").unwrap().metadata.deletion_timestamp, None);
}

#[tokio::test]
async fn an_api_server_that_is_away_is_not_an_answer() {
    let mut setup = setup(makes).await;
    setup.server.fail(Some(http::StatusCode::SERVICE_UNAVAILABLE));
    setup
        .refused(
            request(28 * MIB, &["a"]),
            Code::Unavailable,
            "cannot create volume pvc-1 now",
        )
        .await;
    let free = setup.controller.get_capacity(in_a()).await.unwrap().into_inner();
    assert_eq!(
        free.available_capacity,
        502 * MIB,
        "what was not written takes no space"
    );
    setup.server.fail(None);
    setup.create(request(28 * MIB, &["a"])).await.unwrap();
}

#[tokio::test]
async fn nothing_is_decided_before_the_cluster_is_known() {
    let mut setup = setup_with(SharedIndex::default(), makes).await;
    setup
        .refused(request(28 * MIB, &["a"]), Code::Unavailable, "still reading")
        .await;
    let ready = setup.identity.probe(ProbeRequest {}).await.unwrap().into_inner().ready;
    assert_eq!(ready, Some(false));
    assert_eq!(
        setup.controller.get_capacity(in_a()).await.unwrap_err().code(),
        Code::Unavailable
    );
}

#[tokio::test]
async fn capacity_is_the_largest_volume() {
    let mut setup = setup(makes).await;
    let anywhere = setup
        .controller
        .get_capacity(GetCapacityRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (anywhere.available_capacity, anywhere.maximum_volume_size),
        (502 * MIB, Some(502 * MIB))
    );
    let mut xfs = in_a();
    xfs.accessible_topology = topology(&["b"]).pop();
    xfs.volume_capabilities = vec![capability("xfs", Mode::SingleNodeWriter)];
    let xfs = setup.controller.get_capacity(xfs).await.unwrap().into_inner();
    assert_eq!((xfs.available_capacity, xfs.minimum_volume_size), (0, Some(300 * MIB)));
    let bad = GetCapacityRequest {
        parameters: [("x".into(), "y".into())].into(),
        ..in_a()
    };
    assert_eq!(
        setup.controller.get_capacity(bad).await.unwrap_err().code(),
        Code::InvalidArgument
    );
}

#[tokio::test]
async fn volumes_are_listed_in_pages() {
    let mut setup = setup(makes).await;
    for name in ["pvc-1", "pvc-2", "pvc-3"] {
        setup
            .create(CreateVolumeRequest {
                name: name.into(),
                ..request(MIB, &["a"])
            })
            .await
            .unwrap();
    }
    let mut ids = Vec::new();
    let mut token = String::new();
    loop {
        let page = ListVolumesRequest {
            max_entries: 2,
            starting_token: token,
        };
        let page = setup.controller.list_volumes(page).await.unwrap().into_inner();
        ids.extend(page.entries.into_iter().map(|entry| entry.volume.unwrap().volume_id));
        token = page.next_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(ids, ["pvc-1", "pvc-2", "pvc-3"]);
    let bad = ListVolumesRequest {
        starting_token: "invalid-token".into(),
        ..ListVolumesRequest::default()
    };
    assert_eq!(
        setup.controller.list_volumes(bad).await.unwrap_err().code(),
        Code::Aborted
    );
    let delete = DeleteVolumeRequest {
        volume_id: "pvc-2".into(),
        ..DeleteVolumeRequest::default()
    };
    setup.controller.delete_volume(delete).await.unwrap();
    let rest = setup
        .controller
        .list_volumes(ListVolumesRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(rest.entries.len(), 2);
}

#[tokio::test]
async fn a_volume_whose_node_is_gone_is_abnormal() {
    let mut setup = setup(makes).await;
    setup.create(request(MIB, &["a"])).await.unwrap();
    let get = ControllerGetVolumeRequest {
        volume_id: "pvc-1".into(),
    };
    let abnormal =
        |answer: csi::v1::ControllerGetVolumeResponse| answer.status.unwrap().volume_condition.unwrap().abnormal;
    let answer = setup.controller.controller_get_volume(get.clone()).await.unwrap();
    assert!(!abnormal(answer.into_inner()));
    setup.index.update(|index| index.delete(&plain_node("a", 512)));
    let answer = setup.controller.controller_get_volume(get).await.unwrap();
    assert!(abnormal(answer.into_inner()));
    let stranded = setup.index.read(daxfit_operator::lost::stranded);
    let stranded: Vec<_> = stranded
        .iter()
        .map(|volume| (volume.node.as_str(), volume.deleting))
        .collect();
    assert_eq!(stranded, [("a", false)]);
}

#[tokio::test]
async fn uses_are_confirmed_for_volumes_that_exist() {
    let mut setup = setup(makes).await;
    let ask = |mode| ValidateVolumeCapabilitiesRequest {
        volume_id: "pvc-1".into(),
        volume_capabilities: vec![capability("ext4", mode)],
        ..ValidateVolumeCapabilitiesRequest::default()
    };
    let missing = setup
        .controller
        .validate_volume_capabilities(ask(Mode::SingleNodeWriter))
        .await
        .unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    setup.create(request(MIB, &["a"])).await.unwrap();
    let yes = setup
        .controller
        .validate_volume_capabilities(ask(Mode::SingleNodeMultiWriter))
        .await
        .unwrap();
    assert!(yes.into_inner().confirmed.is_some());
    let no = setup
        .controller
        .validate_volume_capabilities(ask(Mode::MultiNodeReaderOnly))
        .await
        .unwrap()
        .into_inner();
    assert!(no.confirmed.is_none() && no.message.contains("MULTI_NODE_READER_ONLY"));
    let nothing = ValidateVolumeCapabilitiesRequest {
        volume_capabilities: vec![],
        ..ask(Mode::SingleNodeWriter)
    };
    assert_eq!(
        setup
            .controller
            .validate_volume_capabilities(nothing)
            .await
            .unwrap_err()
            .code(),
        Code::InvalidArgument
    );
}
