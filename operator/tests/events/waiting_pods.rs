//! Events on pods that wait for persistent memory that no node has.

use cluster::watch::{Indexes, SharedIndex as _, feed};
use cluster::{ObjectKey, SpaceRequirements, UnprovisionedClaim};
use crds::ErasingVolume;
use daxfit_operator::events::waiting_pods::{Explainer, WaitingPod, WaitingPods, being_erased, refusal};
use daxfit_operator::index::SharedIndex;
use futures::stream;
use http::StatusCode;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::runtime::watcher::{self, Event};
use placement::{Bytes, MapLocation, Mode, Node, NumaNode, NumaWish, UnreadyRegion, VolumeRequest};
use serde_json::{Value, json};

use crate::support::api_server::ApiServer;
use crate::support::{self, Watched, index, node, plain_node, volume, with_status};

const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/shop/events";
const CLAIMS: &str = "/api/v1/namespaces/shop/persistentvolumeclaims";

fn class(name: &str, parameters: &[(&str, &str)]) -> StorageClass {
    StorageClass {
        volume_binding_mode: Some("WaitForFirstConsumer".into()),
        ..support::class(name, parameters)
    }
}

/// A pod with a claim `big` and an ephemeral volume `scratch`, or without the latter.
fn pod_json(ephemeral: bool) -> Value {
    let mut volumes = vec![
        json!({"name": "data", "persistentVolumeClaim": {"claimName": "big"}}),
        json!({"name": "again", "persistentVolumeClaim": {"claimName": "big"}}),
        json!({"name": "settings", "configMap": {}}),
    ];
    if ephemeral {
        volumes.push(json!({"name": "scratch", "ephemeral": {}}));
    }
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "db", "namespace": "shop", "uid": "uid-of-db", "resourceVersion": "5"},
        "spec": {"containers": [], "volumes": volumes},
        "status": {"phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
            "message": "0/3 nodes are available: 3 node(s) did not have enough free storage.",
        }]},
    })
}

fn pod(value: Value) -> Pod {
    serde_json::from_value(value).unwrap()
}

fn waiting(ephemeral: bool) -> WaitingPod {
    WaitingPod::of(&pod(pod_json(ephemeral))).unwrap()
}

fn claim_json(name: &str, class: &str, size: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-of-{name}")},
        "spec": {"storageClassName": class, "resources": {"requests": {"storage": size}}},
    })
}

/// What a pod requires whose claims ask for these.
fn space(requests: &[VolumeRequest]) -> SpaceRequirements {
    let claim = |(at, request): (usize, &VolumeRequest)| UnprovisionedClaim {
        uid: format!("{at}").into(),
        key: ObjectKey::new("shop", &format!("{at}")),
        request: *request,
        selected_node: None,
    };
    SpaceRequirements {
        nodes: Vec::new(),
        claims: requests.iter().enumerate().map(claim).collect(),
    }
}

fn request(mib: u32) -> VolumeRequest {
    VolumeRequest {
        required: Bytes::mib(mib),
        limit: None,
        mode: Mode::Fsdax(MapLocation::Dev),
        numa: NumaWish::Any,
    }
}

#[test]
fn only_pods_that_the_scheduler_gave_up_on_and_that_have_claims() {
    let found = waiting(true);
    let names: Vec<_> = found
        .pod
        .claims()
        .iter()
        .map(|of| (of.key.to_string(), of.ephemeral))
        .collect();
    assert_eq!(names, [("shop/big".into(), false), ("shop/db-scratch".into(), true)]);
    assert_eq!((&*found.pod.uid, &*found.pod.namespace), ("uid-of-db", "shop"));
    let changes = [
        ("/spec/nodeName", json!("n")),
        ("/spec/volumes", json!([{"name": "settings", "configMap": {}}])),
        ("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")),
        ("/status/conditions/0/status", json!("True")),
        ("/status/conditions/0/reason", json!("SchedulingGated")),
        ("/status/conditions/0/type", json!("Ready")),
    ];
    for (path, value) in changes {
        let mut other = pod_json(true);
        let (parent, key) = path.rsplit_once('/').unwrap();
        other.pointer_mut(parent).unwrap()[key] = value;
        assert_eq!(WaitingPod::of(&pod(other)), None, "{path}");
    }
}

/// The event on the pod if this is its only claim.
async fn event_for(claim: Value, ephemeral: bool) -> Option<String> {
    let classes = vec![
        class("dev", &[]),
        class("xfs", &[("csi.storage.k8s.io/fstype", "xfs")]),
        class("bad", &[("csi.daxfit.dev/mode", "dax")]),
        support::class("immediate", &[]),
    ];
    let making = volume("pvc-uid-of-made", "n", 20);
    let index = index(vec![plain_node("n", 86)], vec![making], classes);
    let mut pod = pod_json(false);
    let name = claim["metadata"]["name"].as_str().unwrap();
    pod["spec"]["volumes"] = if ephemeral {
        json!([{"name": "scratch", "ephemeral": {}}])
    } else {
        json!([{"name": "data", "persistentVolumeClaim": {"claimName": name}}])
    };
    let setup = Setup::new(index, pod);
    setup.server.store(format!("{CLAIMS}/{name}"), claim);
    setup.explain().await;
    setup.notes().pop()
}

#[tokio::test]
async fn what_is_wrong_with_a_claim() {
    let with = |path: &str, value: Value| {
        let mut claim = claim_json("big", "dev", "400Mi");
        claim[path.split_once('.').unwrap().0][path.split_once('.').unwrap().1] = value;
        claim
    };
    let chosen = json!({"volume.kubernetes.io/selected-node": "n"});
    for nothing in [
        with("spec.volumeName", json!("pv")),
        claim_json("big", "other", "1Mi"),
        claim_json("big", "immediate", "1Mi"),
        claim_json("made", "dev", "20Mi"),
        with("metadata.annotations", chosen),
    ] {
        assert_eq!(event_for(nothing.clone(), false).await, None, "{nothing}");
    }
    let no_space = "asked 400 MiB; largest extent 62 MiB on NUMA 0, 64 MiB free in 1 extent (node n, the only one)";
    for (claim, text) in [
        (with("spec.accessModes", json!(["ReadWriteOnce"])), no_space),
        (
            claim_json("big", "bad", "1Mi"),
            "claim shop/big: StorageClass parameter csi.daxfit.dev/mode is \"dax\": allowed are fsdax, sector",
        ),
        (
            claim_json("big", "xfs", "200Mi"),
            "claim shop/big: asked for 200 MiB, but xfs needs at least 300 MiB: ask for more, or for ext4",
        ),
        (
            with("spec.accessModes", json!(["ReadWriteMany"])),
            "claim shop/big: access mode ReadWriteMany needs several nodes, but persistent memory can be reached from \
             its own node only: use ReadWriteOnce or ReadWriteOncePod",
        ),
        (
            with("spec.resources", json!({})),
            "claim shop/big: the claim requests no storage: set spec.resources.requests.storage",
        ),
    ] {
        assert_eq!(event_for(claim, false).await.as_deref(), Some(text));
    }
}

/// An ephemeral claim belongs to the pod that controls it. To be one of several owners is not enough (KEP-1698).
#[tokio::test]
async fn an_ephemeral_claim_is_of_the_pod_that_controls_it() {
    let claim_of = |owners: Value| {
        let mut claim = claim_json("db-scratch", "dev", "400Mi");
        claim["metadata"]["ownerReferences"] = owners;
        claim
    };
    let owner = |uid: &str, controller: bool| json!({"apiVersion": "v1", "kind": "Pod", "name": "db", "uid": uid, "controller": controller});
    let own = event_for(claim_of(json!([owner("uid-of-db", true)])), true)
        .await
        .unwrap();
    assert!(own.starts_with("asked 400 MiB; largest extent 62 MiB"), "{own}");
    for owners in [
        json!([]),
        json!([owner("an-earlier-pod", true)]),
        json!([owner("an-earlier-pod", true), owner("uid-of-db", false)]),
    ] {
        let event = event_for(claim_of(owners), true).await;
        assert_eq!(
            event.as_deref(),
            Some("claim shop/db-scratch was not made for this pod")
        );
    }
}

#[tokio::test]
async fn a_pod_with_a_volume_on_a_node_can_be_on_that_node_only() {
    let nodes = vec![plain_node("a", 64), plain_node("b", 512)];
    let there = volume("pvc-uid-of-there", "a", 20);
    let contained = json!({"phase": "Ready", "region": "r0", "layoutRevision": 7});
    let index = index(nodes, vec![with_status(there, contained)], vec![class("dev", &[])]);
    let mut pod = pod_json(false);
    pod["spec"]["volumes"] = json!([
        {"name": "data", "persistentVolumeClaim": {"claimName": "big"}},
        {"name": "there", "persistentVolumeClaim": {"claimName": "there"}},
    ]);
    let setup = Setup::new(index, pod);
    let mut bound = claim_json("there", "dev", "20Mi");
    bound["spec"]["volumeName"] = json!("pvc-uid-of-there");
    setup.server.store(format!("{CLAIMS}/there"), bound);
    setup
        .server
        .store(format!("{CLAIMS}/big"), claim_json("big", "dev", "400Mi"));
    setup.explain().await;
    let text =
        "asked 400 MiB; largest extent 62 MiB on NUMA 0, 64 MiB free in 1 extent (claim shop/there is on node a)";
    assert_eq!(setup.notes(), [text]);
}

/// A node's name and regions.
type NodeOf<'a> = (&'a str, &'a [support::Region<'a>]);

/// Names and free spaces of nodes with these regions.
fn free_spaces(nodes: &[NodeOf]) -> Vec<(String, Node)> {
    let free = |(name, regions): &NodeOf| {
        let node = node(name, regions);
        (
            (*name).to_owned(),
            cluster::free_space(node.status.as_ref().unwrap(), []),
        )
    };
    nodes.iter().map(free).collect()
}

/// Requests, nodes, the text.
type Case<'a> = (&'a [VolumeRequest], &'a [NodeOf<'a>], Option<&'a str>);

#[test]
fn the_node_with_the_most_room_speaks() {
    let small: NodeOf = ("a", &[(Some(0), &[(0, 64)])]);
    let large: NodeOf = ("b", &[(Some(0), &[(0, 32)]), (Some(1), &[(0, 100), (200, 8)])]);
    let none: NodeOf = ("c", &[]);
    let on_seven = VolumeRequest {
        numa: NumaWish::Node(NumaNode(7)),
        ..request(20)
    };
    let cases: [Case; 8] = [
        (&[request(60)], &[small, large], None),
        (&[request(90)], &[small, large], None),
        (
            &[request(400)],
            &[small, large, none],
            Some("asked 400 MiB; largest extent 98 MiB on NUMA 1, 140 MiB free in 3 extents (node b, the best of 2)"),
        ),
        (
            &[request(400)],
            &[small],
            Some("asked 400 MiB; largest extent 62 MiB on NUMA 0, 64 MiB free in 1 extent (node a, the only one)"),
        ),
        (
            &[request(60), request(60)],
            &[small],
            Some(
                "asked 60 MiB + 60 MiB; largest extent 62 MiB on NUMA 0, 64 MiB free in 1 extent (node a, the only one)",
            ),
        ),
        (
            &[on_seven],
            &[small],
            Some("asked 20 MiB: no ready region on NUMA 7 (node a, the only one)"),
        ),
        (
            &[request(400), request(1)],
            &[none],
            Some("asked 400 MiB + 1 MiB; no node has persistent memory ready"),
        ),
        (
            &[request(400)],
            &[],
            Some("asked 400 MiB; no node has persistent memory ready"),
        ),
    ];
    for (requests, nodes, expected) in cases {
        assert_eq!(refusal(&space(requests), free_spaces(nodes)).as_deref(), expected);
    }
}

#[test]
fn where_no_region_is_ready_the_event_says_why() {
    let mut unprepared = free_spaces(&[("d", &[])]);
    unprepared[0].1.unready.push(UnreadyRegion {
        numa: None,
        why: "region0 was never prepared: `ndctl init-labels …`".into(),
    });
    let full = free_spaces(&[("a", &[(Some(0), &[(0, 64)])])]);
    let refusal_of = |nodes: Vec<(String, Node)>| refusal(&space(&[request(400)]), nodes).unwrap();
    assert_eq!(
        refusal_of(unprepared.clone()),
        "asked 400 MiB: no ready region: region0 was never prepared: `ndctl init-labels …` (node d, the only one)"
    );
    assert_eq!(
        refusal_of([unprepared, full].concat()),
        "asked 400 MiB; largest extent 62 MiB on NUMA 0, 64 MiB free in 1 extent (node a, the best of 2)"
    );
}

#[test]
fn many_claims_are_asked_for_together() {
    let nodes: &[NodeOf] = &[("a", &[(Some(0), &[(0, 64)])])];
    let mut requests: Vec<VolumeRequest> = (1..30).map(request).collect();
    let answer = refusal(&space(&requests), free_spaces(nodes)).unwrap();
    assert!(
        answer.starts_with("asked 1 MiB + 2 MiB + 3 MiB + 26 more, 435 MiB in all; largest extent 62 MiB"),
        "{answer}"
    );
    let large: &[NodeOf] = &[("a", &[(Some(0), &[(0, 64), (100, 1024)])])];
    assert_eq!(refusal(&space(&requests), free_spaces(large)), None);
    requests.push(request(100));
    assert!(
        refusal(&space(&requests), free_spaces(nodes))
            .unwrap()
            .starts_with("asked 100 MiB; largest")
    );
}

struct Setup {
    index: SharedIndex,
    server: ApiServer,
    pods: WaitingPods,
    explainer: Explainer,
}

impl Setup {
    /// Three nodes and a pod whose claim is larger than any extent.
    fn start() -> Self {
        let nodes = vec![plain_node("a", 64), plain_node("b", 200), plain_node("c", 32)];
        let setup = Self::new(index(nodes, vec![], vec![class("dev", &[])]), pod_json(false));
        setup
            .server
            .store(format!("{CLAIMS}/big"), claim_json("big", "dev", "400Mi"));
        setup
    }

    /// A pod that waits.
    fn new(index: SharedIndex, waiting: Value) -> Self {
        let (server, client) = ApiServer::start(&index, |_| crds::PmemVolumeStatus::default());
        let setup = Self {
            explainer: Explainer::new(client, index.clone()),
            pods: WaitingPods::default(),
            index,
            server,
        };
        setup.show(waiting);
        setup
    }

    /// The watch shows a pod.
    fn show(&self, shown: Value) {
        self.pods.update(|pods| pods.apply(&pod(shown)));
    }

    /// Explains all pods, and returns the methods of the writes.
    async fn explain(&self) -> Vec<String> {
        self.pods.make_due();
        self.explainer.explain_due(&self.pods).await;
        let writes = self.server.take_writes();
        writes
            .iter()
            .map(|call| call.split(' ').next().unwrap().into())
            .collect()
    }

    fn notes(&self) -> Vec<String> {
        let mut events = self.server.objects(EVENTS);
        events.sort_by_key(|event| event["eventTime"].to_string());
        let notes = events.iter().map(|event| event["note"].as_str().unwrap().to_owned());
        notes.collect()
    }
}

#[tokio::test]
async fn a_claim_larger_than_any_extent_is_recorded_once_for_each_text_and_condition() {
    let setup = Setup::start();
    let first = "asked 400 MiB; largest extent 196 MiB on NUMA 0, 200 MiB free in 1 extent (node b, the best of 3)";
    assert_eq!(setup.explain().await, ["POST"]);
    let event = setup.server.objects(EVENTS).remove(0);
    assert_eq!(event["note"], first);
    assert_eq!(
        (&event["type"], &event["reason"]),
        (&json!("Warning"), &json!("NoPersistentMemory"))
    );
    assert_eq!(event["action"], "Scheduling");
    assert_eq!(event["reportingController"], "daxfit-operator");
    let regarding = json!({"apiVersion": "v1", "kind": "Pod", "name": "db", "namespace": "shop", "uid": "uid-of-db"});
    assert_eq!(event["regarding"], regarding);

    // Nothing new.
    setup.show(pod_json(false));
    assert_eq!(setup.explain().await, Vec::<String>::new());

    // The scheduler says something else: the same event, counted.
    let mut again = pod_json(false);
    again["status"]["conditions"][0]["message"] = json!("0/4 nodes are available");
    setup.show(again);
    assert_eq!(setup.explain().await, ["PATCH"]);
    assert_eq!(setup.server.objects(EVENTS)[0]["series"]["count"], 2);

    // Another text is another event, not another count of the first.
    setup.index.apply(plain_node("c", 300));
    assert_eq!(setup.explain().await, ["POST"]);
    let second = "asked 400 MiB; largest extent 294 MiB on NUMA 0, 300 MiB free in 1 extent (node c, the best of 3)";
    assert_eq!(setup.notes(), [first, second]);

    // There is room now: no event is recorded.
    setup.index.apply(plain_node("c", 512));
    assert_eq!(setup.explain().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_could_not_be_recorded_or_read_is_tried_again() {
    let setup = Setup::start();
    setup.server.fail(Some(StatusCode::INTERNAL_SERVER_ERROR));
    assert_eq!(setup.explain().await, ["POST"]);
    assert_eq!(setup.notes().len(), 0);
    setup.server.fail(None);
    assert_eq!(setup.explain().await, ["POST"]);
    assert_eq!(setup.notes().len(), 1);

    // Its claim of an ephemeral volume is not there yet.
    let setup = Setup::start();
    setup.show(pod_json(true));
    assert_eq!(setup.explain().await, Vec::<String>::new());
    let mut scratch = claim_json("db-scratch", "other", "1Mi");
    scratch["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "Pod", "name": "db", "uid": "uid-of-db", "controller": true}]);
    setup.server.store(format!("{CLAIMS}/db-scratch"), scratch);
    assert_eq!(setup.explain().await, ["POST"]);
}

#[tokio::test]
async fn pods_that_do_not_wait_any_more_are_forgotten() {
    let (there, mut scheduled) = (pod(pod_json(false)), pod_json(false));
    scheduled["spec"]["nodeName"] = json!("a");
    let ends: [Vec<watcher::Result<Event<Pod>>>; 3] = [
        vec![Ok(Event::Delete(there.clone()))],
        vec![Ok(Event::Apply(pod(scheduled)))],
        vec![Ok(Event::Init), Ok(Event::InitDone)],
    ];
    for end in ends {
        let setup = Setup::start();
        feed(
            stream::iter([
                Ok(Event::Init),
                Ok(Event::InitApply(there.clone())),
                Ok(Event::InitDone),
            ]),
            &setup.pods,
        )
        .await;
        feed(stream::iter(end), &setup.pods).await;
        assert_eq!(setup.explain().await, Vec::<String>::new());
        // One that comes back is explained again: nothing of it was kept.
        feed(stream::iter([Ok(Event::Apply(there.clone()))]), &setup.pods).await;
        assert_eq!(setup.explain().await, ["POST"]);
    }
}

#[test]
fn what_is_erased_soonest_is_told() {
    let erasing = |node: &str, mib: i64, over_at: Option<&str>, message: &str| {
        let progress = json!({ "name": "pvc-v", "done": 0, "total": mib << 20, "overAt": over_at, "message": message });
        (
            node.to_owned(),
            serde_json::from_value::<ErasingVolume>(progress).unwrap(),
        )
    };
    let told = |erasing: Vec<(String, ErasingVolume)>| being_erased(&space(&[request(40), request(60)]), erasing);
    let late = || erasing("a", 64, Some("2026-11-30T09:10:00Z"), "");
    let soon = || erasing("b", 94, Some("2026-11-30T08:40:01Z"), "");
    let text = "94 MiB on node b are being erased until about 2026-11-30 08:41 UTC";
    assert_eq!(told(vec![late(), soon()]).as_deref(), Some(text));
    let useless = [
        erasing("c", 32, Some("2026-11-30T08:00:00Z"), ""),
        erasing("c", 64, None, ""),
        erasing("c", 64, Some("2026-11-30T08:00:00Z"), "no"),
    ];
    assert_eq!(told(useless.to_vec()), None);
}
