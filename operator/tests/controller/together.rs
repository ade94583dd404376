//! CreateVolume for claims whose class wishes all volumes of a pod on one NUMA node.

use std::time::Duration;

use crds::{NumaChoice, PmemNode, PmemVolume, PmemVolumeStatus};
use csi::RpcError;
use csi::v1::volume_capability::access_mode::Mode;
use csi::v1::{CapacityRange, CreateVolumeRequest, TopologyRequirement};
use daxfit_operator::controller::{CreateError, Service};
use daxfit_operator::index::SharedIndex;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::Client;
use placement::NumaNode;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::setup::{TIME_LIMIT, capability, silent, topology};
use crate::support::api_server::{ApiServer, NodeDriver};
use crate::support::{self, Watched, index, node, volume, with_status};

const PODS: &str = "/api/v1/namespaces/shop/pods";
const CLAIMS: &str = "/api/v1/namespaces/shop/persistentvolumeclaims";
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
const ZERO: NumaChoice = NumaChoice::Node(NumaNode(0));
const ONE: NumaChoice = NumaChoice::Node(NumaNode(1));

struct Setup {
    server: ApiServer,
    client: Client,
    index: SharedIndex,
    service: Service,
}

/// 400 MiB on NUMA 0, 100 MiB on NUMA 1: up to 98 MiB go to NUMA 1 if they are alone.
fn uneven() -> PmemNode {
    node("n", &[(Some(0), &[(0, 400)]), (Some(1), &[(0, 100)])])
}

fn classes() -> Vec<StorageClass> {
    let waits = |class| StorageClass {
        volume_binding_mode: Some("WaitForFirstConsumer".into()),
        ..class
    };
    let together = support::class("together", &[("csi.daxfit.dev/numa", "together")]);
    vec![waits(together), waits(support::class("any", &[]))]
}

/// A node "n", a pod "db" with the claims "data" and "log" of 90 MiB each.
fn setup(n: PmemNode, driver: NodeDriver) -> Setup {
    let index = index(vec![n], vec![], classes());
    let (server, client) = ApiServer::start(&index, driver);
    let service = Service::new(client.clone(), index.clone(), CancellationToken::new());
    server.store(format!("{PODS}/db"), pod("db", &["data", "log"]));
    for name in ["data", "log"] {
        server.store(format!("{CLAIMS}/{name}"), claim(name, "together", 90));
    }
    Setup {
        server,
        client,
        index,
        service,
    }
}

impl Setup {
    async fn create(&self, claim: &str, mib: i64) -> Result<NumaChoice, CreateError> {
        self.service.create(&request(claim, mib), TIME_LIMIT).await?;
        Ok(self.numa(claim))
    }

    /// The claim "log" is bound to its volume.
    fn bind_log(&self) {
        self.index.apply(support::persistent_volume(&name_of("log"), "n"));
        let mut log = claim("log", "together", 20);
        log["spec"]["volumeName"] = json!(format!("pv-of-{}", name_of("log")));
        self.server.store(format!("{CLAIMS}/log"), log);
    }

    fn numa(&self, claim: &str) -> NumaChoice {
        self.server.volume(&name_of(claim)).unwrap().spec.numa
    }

    async fn refused(&self, claim: &str, mib: i64, code: Code, text: &str) {
        let error = self.create(claim, mib).await.unwrap_err();
        assert_eq!((error.code(), error.to_string()), (code, text.into()));
    }
}

/// The node makes every volume, in the region that has to hold it; "r0" where it may choose.
fn makes(volume: &PmemVolume) -> PmemVolumeStatus {
    let region = match volume.spec.numa {
        NumaChoice::Any => 0,
        NumaChoice::Node(numa) => numa.0,
    };
    serde_json::from_value(json!({"phase": "Ready", "usable": volume.spec.required, "region": format!("r{region}")}))
        .unwrap()
}

fn name_of(claim: &str) -> String {
    format!("pvc-uid-of-{claim}")
}

fn pod(name: &str, claims: &[&str]) -> Value {
    let volume = |claim: &&str| json!({"name": claim, "persistentVolumeClaim": {"claimName": claim}});
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-of-{name}")},
        "spec": {"containers": [], "volumes": claims.iter().map(volume).collect::<Vec<_>>()},
        "status": {"phase": "Pending"},
    })
}

/// An unbound claim that was given to node "n".
fn claim(name: &str, class: &str, mib: u32) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name, "namespace": "shop", "uid": format!("uid-of-{name}"), "annotations": {SELECTED_NODE: "n"},
        },
        "spec": {"storageClassName": class, "resources": {"requests": {"storage": format!("{mib}Mi")}}},
    })
}

/// As external-provisioner asks for the volume of a claim that was given to node "n".
fn request(claim: &str, mib: i64) -> CreateVolumeRequest {
    let parameters = [
        ("csi.daxfit.dev/numa", "together"),
        ("csi.storage.k8s.io/pvc/name", claim),
        ("csi.storage.k8s.io/pvc/namespace", "shop"),
    ];
    CreateVolumeRequest {
        name: name_of(claim),
        capacity_range: Some(CapacityRange {
            required_bytes: mib << 20,
            limit_bytes: 0,
        }),
        volume_capabilities: vec![capability("ext4", Mode::SingleNodeWriter)],
        parameters: parameters.map(|(name, value)| (name.into(), value.into())).into(),
        accessibility_requirements: Some(TopologyRequirement {
            requisite: topology(&["n"]),
            preferred: topology(&["n"]),
        }),
        ..CreateVolumeRequest::default()
    }
}

#[tokio::test]
async fn the_first_settles_and_the_second_follows() {
    let setup = setup(uneven(), makes);
    // Alone it would go to NUMA 1, where it leaves less over.
    assert_eq!(setup.create("log", 90).await.unwrap(), ZERO);
    assert_eq!(setup.create("data", 90).await.unwrap(), ZERO);
    // The call may be repeated.
    assert_eq!(setup.create("log", 90).await.unwrap(), ZERO);
}

#[tokio::test]
async fn a_restart_between_them_changes_nothing() {
    let setup = setup(uneven(), makes);
    assert_eq!(setup.create("data", 90).await.unwrap(), ZERO);
    let known = index(
        vec![uneven()],
        vec![setup.server.volume(&name_of("data")).unwrap()],
        classes(),
    );
    let restarted = Service::new(setup.client.clone(), known, CancellationToken::new());
    let late = restarted.create(&request("log", 90), Duration::from_millis(50)).await;
    // This index is not shown what becomes of it.
    assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);
    assert_eq!(setup.numa("log"), ZERO);
}

#[tokio::test]
async fn what_the_watch_does_not_show_yet_counts() {
    let setup = setup(uneven(), makes);
    let blind = index(vec![uneven()], vec![], classes());
    let service = Service::new(setup.client.clone(), blind.clone(), CancellationToken::new());
    for (claim, first) in [("data", true), ("log", false)] {
        let late = service.create(&request(claim, 90), Duration::from_millis(50)).await;
        assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);
        assert_eq!(setup.numa(claim), ZERO);
        assert!(first || blind.read(|index| index.volume(&name_of("data")).is_none()));
        blind.apply(node("n", &[(Some(0), &[(0, 100)]), (Some(1), &[(0, 400)])]));
    }
}

#[tokio::test]
async fn two_calls_at_once_choose_alike() {
    // Each call on its own may choose either: what the first leaves over decides.
    let n = node("n", &[(Some(0), &[(0, 200)]), (Some(1), &[(0, 200)])]);
    let setup = setup(n, makes);
    let (data, log) = tokio::join!(setup.create("data", 90), setup.create("log", 90));
    assert_eq!((data.unwrap(), log.unwrap()), (ZERO, ZERO));
}

#[tokio::test]
async fn no_room_on_one_numa_node() {
    let n = node("n", &[(Some(0), &[(0, 100)]), (Some(1), &[(0, 100)])]);
    let setup = setup(n, makes);
    let text =
        "node n: asked 90 MiB + 90 MiB on one NUMA node; largest extent 98 MiB on NUMA 1, 200 MiB free in 2 extents";
    setup.refused("data", 90, Code::ResourceExhausted, text).await;
    assert_eq!(setup.server.take_writes(), Vec::<String>::new());
}

#[tokio::test]
async fn no_room_where_the_other_volume_is() {
    let setup = setup(uneven(), makes);
    assert_eq!(setup.create("data", 90).await.unwrap(), ZERO);
    setup
        .index
        .apply(node("n", &[(Some(0), &[(0, 100)]), (Some(1), &[(0, 400)])]));
    let text = "node n: asked 90 MiB; largest extent 0 B on NUMA 0, 8 MiB free in 1 extent";
    setup.refused("log", 90, Code::ResourceExhausted, text).await;
}

#[tokio::test]
async fn all_claims_of_the_pod_count() {
    let n = node("n", &[(Some(0), &[(0, 200)]), (Some(1), &[(0, 400)])]);
    let setup = setup(n, makes);
    assert_eq!(setup.create("data", 90).await.unwrap(), ZERO);
    // With a third claim that can only be on NUMA 0, the others cannot be there.
    let setup = self::setup(node("n", &[(Some(0), &[(0, 200)]), (Some(1), &[(0, 210)])]), makes);
    setup
        .server
        .store(format!("{PODS}/db"), pod("db", &["data", "log", "far"]));
    let mut far = claim("far", "zero", 100);
    far["spec"]["storageClassName"] = json!("zero");
    setup.server.store(format!("{CLAIMS}/far"), far);
    // Its class is so new that only the API server has it.
    let zero = StorageClass {
        volume_binding_mode: Some("WaitForFirstConsumer".into()),
        ..support::class("zero", &[("csi.daxfit.dev/numa", "0")])
    };
    let path = "/apis/storage.k8s.io/v1/storageclasses/zero".to_owned();
    setup.server.store(path, serde_json::to_value(zero).unwrap());
    assert_eq!(setup.create("data", 90).await.unwrap(), ONE);
}

#[tokio::test]
async fn a_claim_without_a_pod() {
    let setup = setup(uneven(), makes);
    setup.server.forget(&format!("{PODS}/db"));
    let text = "no pod waits for claim shop/data any more, and its class wishes its volume on one NUMA node with the \
                other volumes of its pod: it is made once another pod uses the claim";
    setup.refused("data", 90, Code::ResourceExhausted, text).await;
    // A pod that runs or goes does not wait.
    for (path, value) in [
        ("/spec", json!({"nodeName": "n"})),
        ("/metadata", json!({"deletionTimestamp": "2026-01-01T00:00:00Z"})),
    ] {
        let mut gone = pod("db", &["data", "log"]);
        let fields = value.as_object().unwrap().iter();
        for (key, value) in fields {
            gone.pointer_mut(path).unwrap()[key] = value.clone();
        }
        setup.server.store(format!("{PODS}/db"), gone);
        setup.refused("data", 90, Code::ResourceExhausted, text).await;
    }
    // With immediate binding there is none yet: it goes where it fits best.
    setup.server.forget(&format!("{PODS}/db"));
    let mut immediate = claim("data", "together", 90);
    immediate["metadata"]["annotations"] = json!({});
    setup.server.store(format!("{CLAIMS}/data"), immediate);
    assert_eq!(setup.create("data", 90).await.unwrap(), NumaChoice::Any);
    // And so does one whose claim nobody named, or is gone.
    let mut unnamed = request("unnamed", 90);
    unnamed.parameters.remove("csi.storage.k8s.io/pvc/name");
    setup.service.create(&unnamed, TIME_LIMIT).await.unwrap();
    assert_eq!(setup.numa("unnamed"), NumaChoice::Any);
    assert_eq!(setup.create("gone", 30).await.unwrap(), NumaChoice::Any);
}

#[tokio::test]
async fn an_ephemeral_volume_belongs_to_its_owner() {
    let setup = setup(uneven(), makes);
    let mut db = pod("db", &["data"]);
    db["spec"]["volumes"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "log", "ephemeral": {}}));
    setup.server.store(format!("{PODS}/db"), db);
    let mut log = claim("db-log", "together", 90);
    let owner = |uid: &str| json!([{"apiVersion": "v1", "kind": "Pod", "name": "db", "uid": uid, "controller": true}]);
    log["metadata"]["ownerReferences"] = owner("uid-of-db");
    setup.server.store(format!("{CLAIMS}/db-log"), log.clone());
    assert_eq!(setup.create("db-log", 90).await.unwrap(), ZERO);
    assert_eq!(setup.create("data", 90).await.unwrap(), ZERO);

    // Somebody else's claim of that name, and one that the pod owns but does not control.
    let mut not_controlled = owner("uid-of-db");
    not_controlled[0]["controller"] = json!(false);
    for owners in [owner("an-earlier-pod"), not_controlled] {
        let setup = self::setup(uneven(), makes);
        let mut db = pod("db", &["data"]);
        db["spec"]["volumes"]
            .as_array_mut()
            .unwrap()
            .push(json!({"name": "log", "ephemeral": {}}));
        setup.server.store(format!("{PODS}/db"), db);
        log["metadata"]["ownerReferences"] = owners;
        setup.server.store(format!("{CLAIMS}/db-log"), log.clone());
        let text = "pod shop/db: claim shop/db-log was not made for this pod";
        setup.refused("db-log", 90, Code::ResourceExhausted, text).await;
    }
}

/// A volume of an earlier day, in this region.
fn in_region(claim: &str, region: &str) -> PmemVolume {
    let status = json!({"phase": "Ready", "region": region, "layoutRevision": 3});
    with_status(volume(&name_of(claim), "n", 20), status)
}

#[tokio::test]
async fn bound_volumes_of_the_pod_decide_by_their_region() {
    let setup = setup(uneven(), makes);
    setup.server.add_volume(&in_region("log", "r1"));
    assert_eq!(setup.create("data", 90).await.unwrap(), ONE);
}

/// One that was retained, and is bound to the claim or about to be.
#[tokio::test]
async fn a_companion_that_was_not_made_for_its_claim_counts() {
    for is_bound in [false, true] {
        let setup = setup(uneven(), makes);
        setup.server.add_volume(&in_region("earlier", "r1"));
        let mut volume = support::persistent_volume(&name_of("earlier"), "n");
        volume.spec.as_mut().unwrap().claim_ref.as_mut().unwrap().uid = Some("uid-of-log".into());
        setup.index.apply(volume);
        if is_bound {
            let mut log = claim("log", "together", 20);
            log["spec"]["volumeName"] = json!(format!("pv-of-{}", name_of("earlier")));
            setup.server.store(format!("{CLAIMS}/log"), log);
        }
        assert_eq!(setup.create("data", 90).await.unwrap(), ONE, "{is_bound}");
    }
}

#[tokio::test]
async fn bound_volumes_apart_leave_no_place() {
    let setup = setup(uneven(), makes);
    setup
        .server
        .store(format!("{PODS}/db"), pod("db", &["data", "log", "old"]));
    setup
        .server
        .store(format!("{CLAIMS}/old"), claim("old", "together", 20));
    setup.server.add_volume(&in_region("log", "r1"));
    setup.server.add_volume(&in_region("old", "r0"));
    let text = "node n: its class wishes it on one NUMA node with the other volumes of its pod, but these are on NUMA 0 \
                and NUMA 1: give the claim another class";
    setup.refused("data", 90, Code::ResourceExhausted, text).await;
}

/// The volume of a claim on NUMA node 1, which is being deleted.
fn deleted(claim: &str) -> PmemVolume {
    let mut deleted = in_region(claim, "r1");
    deleted.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
    deleted
}

#[tokio::test]
async fn volumes_that_go_do_not_count() {
    let setup = setup(uneven(), makes);
    setup.server.add_volume(&deleted("log"));
    setup
        .server
        .store(format!("{PODS}/db"), pod("db", &["data", "log", "other"]));
    setup
        .server
        .store(format!("{CLAIMS}/other"), claim("other", "together", 90));
    let refused = with_status(volume(&name_of("other"), "n", 90), json!({"phase": "Refused"}));
    setup.server.add_volume(&refused);
    setup
        .server
        .store(format!("{PODS}/db"), pod("db", &["data", "log", "other", "more"]));
    setup
        .server
        .store(format!("{CLAIMS}/more"), claim("more", "together", 90));
    assert_eq!(setup.create("data", 90).await.unwrap(), ZERO);
}

#[tokio::test]
async fn a_volume_without_a_region_yet_is_waited_for() {
    let setup = setup(uneven(), silent);
    setup.server.add_volume(&volume(&name_of("log"), "n", 90));
    let text = "node n: volume pvc-uid-of-log, with which it has to be on one NUMA node, has no region that is known yet: \
                try again";
    setup.refused("data", 90, Code::Aborted, text).await;
}

#[tokio::test]
async fn where_the_platform_does_not_tell_all_is_together() {
    let setup = setup(node("n", &[(None, &[(0, 100)]), (None, &[(0, 100)])]), makes);
    assert_eq!(setup.create("data", 90).await.unwrap(), NumaChoice::Any);
    assert_eq!(setup.create("log", 90).await.unwrap(), NumaChoice::Any);
}

#[tokio::test]
async fn pods_that_share_a_claim_have_the_same_companions() {
    let setup = setup(uneven(), makes);
    setup
        .server
        .store(format!("{PODS}/reader"), pod("reader", &["log", "cache"]));
    setup
        .server
        .store(format!("{CLAIMS}/cache"), claim("cache", "together", 20));
    assert_eq!(setup.create("data", 90).await.unwrap(), ZERO);
    // "cache" has to be with "log", which has to be with "data".
    setup
        .index
        .apply(node("n", &[(Some(0), &[(0, 300)]), (Some(1), &[(0, 300)])]));
    assert_eq!(setup.create("cache", 20).await.unwrap(), ZERO);
    assert_eq!(setup.create("log", 90).await.unwrap(), ZERO);
}

#[tokio::test]
async fn a_pod_that_asks_too_much_does_not_keep_others_waiting() {
    let setup = setup(uneven(), makes);
    setup
        .server
        .store(format!("{PODS}/greedy"), pod("greedy", &["log", "huge"]));
    setup
        .server
        .store(format!("{CLAIMS}/huge"), claim("huge", "together", 5000));
    assert_eq!(setup.create("log", 90).await.unwrap(), ZERO);
}

#[tokio::test]
async fn claims_of_other_classes_go_their_own_way() {
    let setup = setup(uneven(), makes);
    let mut log = in_region("log", "r1");
    log.spec.numa = ONE;
    setup.server.add_volume(&log);
    setup.server.store(format!("{CLAIMS}/log"), claim("log", "any", 90));
    setup
        .server
        .store(format!("{PODS}/db"), pod("db", &["data", "log", "third"]));
    setup
        .server
        .store(format!("{CLAIMS}/third"), claim("third", "together", 90));
    assert_eq!(setup.create("data", 90).await.unwrap(), ZERO);
    assert_eq!(setup.create("third", 90).await.unwrap(), ZERO);
}

#[tokio::test]
async fn without_an_answer_nothing_is_decided() {
    let setup = setup(uneven(), makes);
    setup
        .server
        .store(format!("{CLAIMS}/log"), json!({"kind": "Nonsense", "spec": 7}));
    let error = setup.create("data", 90).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    assert_eq!(setup.server.take_writes(), Vec::<String>::new());
}

/// Node "n" with 400 MiB on each NUMA node, which keeps the volume of "log" on NUMA node 0, unused or not.
fn keeps_log(unused: bool) -> PmemNode {
    let n = node("n", &[(Some(0), &[(0, 400)]), (Some(1), &[(0, 400)])]);
    support::keeping(n, &name_of("log"), &json!({ "unused": unused }))
}

/// The object of a companion was deleted, and its claim is going to get what is there.
#[tokio::test]
async fn a_companion_that_is_kept_without_object_counts() {
    for unused in [false, true] {
        let setup = setup(keeps_log(unused), makes);
        setup
            .server
            .store(format!("{CLAIMS}/log"), claim("log", "together", 28));
        assert_eq!(setup.create("data", 90).await.unwrap(), ZERO);
        assert_eq!(setup.create("log", 28).await.unwrap(), ZERO);
    }
}

/// Somebody deleted the object of a companion that is bound, and its node has not told yet that it keeps the data.
#[tokio::test]
async fn a_bound_companion_that_nobody_shows_is_waited_for() {
    let setup = setup(uneven(), silent);
    setup.bind_log();
    let text = "node n: volume pvc-uid-of-log, with which it has to be on one NUMA node, has no region that is known yet: try again";
    setup.refused("data", 90, Code::Aborted, text).await;
    // Its finalizer is still to go.
    setup.server.add_volume(&deleted("log"));
    setup.refused("data", 90, Code::Aborted, text).await;
}

/// Its claim is unbound, and gets another one.
#[tokio::test]
async fn room_is_left_for_a_companion_that_was_refused() {
    let setup = setup(uneven(), makes);
    let refused = with_status(volume(&name_of("log"), "n", 90), json!({"phase": "Refused"}));
    setup.server.add_volume(&refused);
    // Alone it would go to NUMA 1.
    assert_eq!(setup.create("data", 90).await.unwrap(), ZERO);
}

/// etcd was restored to before somebody deleted it, and the watch still shows what was before.
#[tokio::test]
async fn a_companion_that_is_back_counts() {
    let setup = setup(uneven(), makes);
    setup.bind_log();
    setup.server.add_volume(&in_region("log", "r1"));
    setup.index.apply(deleted("log"));
    assert_eq!(setup.create("data", 90).await.unwrap(), ONE);
}

/// Its companion was made on the other NUMA node before the node reported it.
#[tokio::test]
async fn what_is_kept_apart_and_nobody_used_is_made_anew() {
    let setup = setup(keeps_log(true), makes);
    setup.server.add_volume(&in_region("data", "r1"));
    setup
        .server
        .store(format!("{CLAIMS}/log"), claim("log", "together", 28));
    setup.server.take_writes();
    let error = setup.create("log", 28).await.unwrap_err();
    let says = error.to_string();
    assert!(says.contains("are on NUMA node 1"), "{says}");
    assert_eq!(error.code(), Code::Aborted, "{says}");
    let written = setup.server.volume(&name_of("log")).unwrap();
    assert_eq!(written.metadata.annotations.unwrap()[crds::DELETE_VOLUME], crds::UNUSED);
    assert!(written.metadata.deletion_timestamp.is_some(), "its node erases it");
}

/// etcd was restored while they were being made, and kube-scheduler chose another node the second time.
#[tokio::test]
async fn a_companion_on_another_node_leaves_no_place() {
    let mut elsewhere = in_region("log", "r0");
    elsewhere.spec.node = "m".into();
    let text = "node n: volume pvc-uid-of-log, with which it has to be on one NUMA node, is on node m";
    let setup = setup(uneven(), makes);
    setup.server.add_volume(&elsewhere);
    setup.refused("data", 90, Code::ResourceExhausted, text).await;

    let used = support::keeping(support::plain_node("m", 64), &name_of("log"), &json!({}));
    let setup = self::setup(uneven(), makes);
    setup.index.apply(used);
    setup.refused("data", 90, Code::ResourceExhausted, text).await;

    let unused = support::keeping(support::plain_node("m", 64), &name_of("log"), &json!({"unused": true}));
    let setup = self::setup(uneven(), makes);
    setup.index.apply(unused);
    assert_eq!(setup.create("data", 90).await.unwrap(), ZERO, "m erases it");
}
