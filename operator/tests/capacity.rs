//! Which CSIStorageCapacity objects exist, and what is written for it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here is a failed test")]

mod support;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use cluster::watch::Indexes;
use crds::{MANAGED_BY, TOPOLOGY_KEY};
use daxfit_operator::capacity::{Change, desired, diff, writer};
use daxfit_operator::capacity_object::{Capacity, PublishedCapacity};
use daxfit_operator::events::class_mistakes::class_mistakes;
use daxfit_operator::index::{Index, SharedIndex};
use http_body_util::BodyExt;
use k8s_openapi::api::core::v1::PersistentVolume;
use k8s_openapi::api::storage::v1::{CSINode, CSIStorageCapacity};
use kube::Api;
use kube::client::Body;
use placement::{Bytes, NumaNode, NumaWish, VolumeRequest};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::api_server::ApiServer;
use support::{Watched, class, csi_node, index, list, node, plain_node, volume, with_status};

const NAMESPACE: &str = "daxfit-system";
const OBJECTS: &str = "/apis/storage.k8s.io/v1/namespaces/daxfit-system/csistoragecapacities";

/// (class, NUMA node, usable MiB), by name.
fn of(index: &SharedIndex, node: &str) -> BTreeSet<(String, Option<u32>, i64)> {
    let all = index.read(|index| desired(index, node));
    let short = |c: Capacity| (c.class, c.numa.map(|numa| numa.0), c.usable.get() >> 20);
    all.into_iter().map(short).collect()
}

#[test]
fn one_object_for_each_numa_node_and_class() {
    let regions = node(
        "n",
        &[(Some(0), &[(0, 512)]), (Some(1), &[(0, 64)]), (None, &[(0, 32)])],
    );
    let classes = vec![
        class("dev", &[]),
        class("mem", &[("csi.daxfit.dev/map", "mem")]),
        class("one", &[("csi.daxfit.dev/numa", "1")]),
        class("xfs", &[("csi.storage.k8s.io/fstype", "xfs")]),
    ];
    let index = index(vec![regions], vec![], classes);
    let expected = [
        ("dev", Some(0), 502),
        ("dev", Some(1), 62),
        ("dev", None, 30),
        ("mem", Some(0), 510),
        ("mem", Some(1), 62),
        ("mem", None, 30),
        ("one", Some(1), 62),
        ("xfs", Some(0), 502),
        // Not less than xfs needs: none.
        ("xfs", Some(1), 0),
        ("xfs", None, 0),
    ];
    assert_eq!(
        of(&index, "n"),
        expected.map(|(class, numa, mib)| (class.into(), numa, mib)).into()
    );
}

#[test]
fn regions_that_are_not_ready_and_nodes_that_are_gone_have_none() {
    let mut unprepared = plain_node("n", 512);
    unprepared.status.as_mut().unwrap().regions[0].state = crds::RegionState::Unprepared;
    let index = index(vec![unprepared], vec![], vec![class("dev", &[])]);
    assert_eq!(of(&index, "n"), BTreeSet::new());
    assert_eq!(of(&index, "elsewhere"), BTreeSet::new());
}

#[test]
fn pending_volumes_are_subtracted_once() {
    let index = index(
        vec![plain_node("n", 512)],
        vec![volume("v", "n", 98)],
        vec![class("dev", &[])],
    );
    assert_eq!(of(&index, "n"), [("dev".into(), Some(0), 404)].into());
    let contained = json!({"phase": "Ready", "region": "r0", "layoutRevision": 7});
    index.apply(with_status(volume("v", "n", 98), contained));
    assert_eq!(of(&index, "n"), [("dev".into(), Some(0), 502)].into());
}

#[test]
fn a_class_that_cannot_be_understood_has_none_and_says_why() {
    let classes = vec![
        class("bad", &[("csi.daxfit.dev/mode", "dax")]),
        class("odd", &[("csi.storage.k8s.io/fstype", "btrfs")]),
    ];
    let index = index(vec![plain_node("n", 512)], vec![], classes);
    assert_eq!(of(&index, "n"), BTreeSet::new());
    let messages: Vec<String> = index
        .read(class_mistakes)
        .into_iter()
        .map(|class| class.message)
        .collect();
    assert_eq!(
        messages,
        [
            "StorageClass parameter csi.daxfit.dev/mode is \"dax\": allowed are fsdax, sector; no capacity is published for this \
             class",
            "StorageClass parameter csi.storage.k8s.io/fstype: file system \"btrfs\": allowed are ext4, xfs; no capacity is \
             published for this class",
        ]
    );
}

/// No claim of such a class can have a volume: whoever made it is told.
#[test]
fn each_mistake_of_a_class_has_its_reason() {
    let mut foreign = class("foreign", &[]);
    let zone = json!([{ "matchLabelExpressions": [{ "key": "zone", "values": ["a"] }] }]);
    foreign.allowed_topologies = serde_json::from_value(zone).unwrap();
    let mut mounted = class("mounted", &[]);
    mounted.mount_options = Some(vec!["logdev=/dev/sda".into()]);
    let classes = vec![foreign, mounted, class("odd", &[("csi.daxfit.dev/mode", "dax")])];
    let index = index(vec![plain_node("n", 512)], vec![], classes);
    let mistakes = index.read(class_mistakes);
    let told: Vec<(&str, &str)> = mistakes
        .iter()
        .map(|found| (found.class.as_str(), found.reason))
        .collect();
    assert_eq!(
        told,
        [
            ("foreign", "ForeignTopologies"),
            ("mounted", "InvalidMountOption"),
            ("odd", "InvalidParameter")
        ]
    );
}

/// A claim of it would learn that only when somebody wants to enlarge it, and wait then.
#[test]
fn a_class_that_promises_growth_is_told_and_has_capacity() {
    let mut growing = class("growing", &[]);
    growing.allow_volume_expansion = Some(true);
    let index = index(vec![plain_node("n", 512)], vec![], vec![growing, class("plain", &[])]);
    let mistakes = index.read(class_mistakes);
    let told: Vec<(&str, &str)> = mistakes
        .iter()
        .map(|found| (found.class.as_str(), found.reason))
        .collect();
    assert_eq!(told, [("growing", "NoExpansion")]);
    assert_eq!(of(&index, "n").len(), 2);
}

#[test]
fn classes_of_others_are_none_of_ours() {
    let mut other = class("other", &[]);
    other.provisioner = "example.com".into();
    let index = index(vec![plain_node("n", 512)], vec![], vec![other]);
    assert_eq!(of(&index, "n"), BTreeSet::new());
}

fn capacity(class: &str, mib: u32) -> Capacity {
    Capacity {
        node: "n".into(),
        numa: Some(NumaNode(0)),
        class: class.into(),
        owner: "uid-of-n".into(),
        usable: Bytes::mib(mib),
    }
}

fn published(capacity: &Capacity) -> (String, PublishedCapacity) {
    let mut object = capacity.to_object(NAMESPACE);
    object.metadata.uid = Some("u".into());
    object.metadata.resource_version = Some("5".into());
    (capacity.name(), PublishedCapacity::of(&object))
}

#[test]
fn only_differences_are_written() {
    let existing = BTreeMap::from([
        published(&capacity("same", 10)),
        published(&capacity("smaller", 20)),
        published(&capacity("gone", 30)),
    ]);
    let wanted = vec![capacity("same", 10), capacity("smaller", 15), capacity("new", 40)];
    let changes = diff(wanted, &existing, |_| false);
    let (uid, resource_version) = ("u".to_owned(), "5".to_owned());
    assert_eq!(changes.len(), 3);
    assert!(changes.contains(&Change::Create(capacity("new", 40))));
    let update = Change::Update {
        to: capacity("smaller", 15),
        uid: uid.clone(),
        resource_version: resource_version.clone(),
    };
    assert!(changes.contains(&update));
    let delete = Change::Delete {
        name: capacity("gone", 30).name(),
        node: Some("n".into()),
        uid,
        resource_version,
    };
    assert!(changes.contains(&delete));
}

#[test]
fn a_new_owner_is_written() {
    let existing = BTreeMap::from([published(&Capacity {
        owner: "before".into(),
        ..capacity("c", 10)
    })]);
    let changes = diff(vec![capacity("c", 10)], &existing, |_| false);
    assert!(matches!(&changes[..], [Change::Update { to, .. }] if to.owner == "uid-of-n"));
}

#[test]
fn one_that_cannot_be_changed_into_what_it_should_be_is_deleted_first() {
    let (name, mut odd) = published(&capacity("c", 10));
    odd.capacity = None;
    let changes = diff(vec![capacity("c", 10)], &BTreeMap::from([(name, odd)]), |_| false);
    assert!(matches!(&changes[..], [Change::Delete { .. }]));
}

#[test]
fn nothing_is_due_before_everything_is_listed() {
    let mut index = Index::default();
    list(&mut index, vec![plain_node("n", 512)]);
    list(&mut index, vec![class("dev", &[])]);
    list::<CSIStorageCapacity>(&mut index, vec![]);
    assert!(!index.is_dirty_beside(&BTreeSet::new()) && index.take_dirty_beside(&BTreeSet::new(), 2).is_empty());
    list::<crds::PmemVolume>(&mut index, vec![]);
    assert!(
        !index.is_dirty_beside(&BTreeSet::new()),
        "the PersistentVolumes are not listed yet"
    );
    list::<PersistentVolume>(&mut index, vec![]);
    assert!(
        !index.is_dirty_beside(&BTreeSet::new()),
        "the CSINodes are not listed yet"
    );
    list::<CSINode>(&mut index, vec![]);
    assert!(index.is_dirty_beside(&BTreeSet::new()));
    assert_eq!(index.take_dirty_beside(&BTreeSet::new(), 2), ["n".to_owned()].into());
}

#[tokio::test]
async fn objects_follow_the_index() {
    let index = index(
        vec![plain_node("n", 512)],
        vec![],
        vec![class("dev", &[]), class("sector", &[("csi.daxfit.dev/mode", "sector")])],
    );
    let (server, client) = ApiServer::start(&index, |_| crds::PmemVolumeStatus::default());
    let api = Api::namespaced(client, NAMESPACE);

    assert!(writer::write_once(&api, NAMESPACE, &index).await.is_empty());
    let object = server.objects(OBJECTS).remove(0);
    assert_eq!(object["maximumVolumeSize"], json!((502 << 20).to_string()));
    assert_eq!(object["capacity"], object["maximumVolumeSize"]);
    assert_eq!(object["nodeTopology"]["matchLabels"][TOPOLOGY_KEY], json!("n"));
    assert_eq!(
        object["metadata"]["labels"]["csi.storage.k8s.io/managed-by"],
        json!(MANAGED_BY)
    );
    assert_eq!(
        object["metadata"]["labels"]["csi.storage.k8s.io/drivername"],
        json!(crds::DRIVER_NAME)
    );
    assert_eq!(object["metadata"]["ownerReferences"][0]["uid"], json!("uid-of-n"));
    assert_eq!(server.take_writes().len(), 2);

    // What the watch now shows is no news.
    for object in server.objects(OBJECTS) {
        index.apply(serde_json::from_value::<CSIStorageCapacity>(object).unwrap());
    }
    index.apply(plain_node("n", 512));
    writer::write_once(&api, NAMESPACE, &index).await;
    assert_eq!(server.take_writes(), Vec::<String>::new());

    // A burst of volumes is one write for each object.
    for at in 0..5 {
        index.apply(volume(&format!("v{at}"), "n", 14));
    }
    writer::write_once(&api, NAMESPACE, &index).await;
    let writes = server.take_writes();
    assert_eq!(
        (
            writes.len(),
            writes.iter().filter(|write| write.starts_with("PATCH")).count()
        ),
        (2, 2)
    );
    assert_eq!(server.objects(OBJECTS)[0]["capacity"], json!((424 << 20).to_string()));

    index.delete(&class("sector", &[]));
    writer::write_once(&api, NAMESPACE, &index).await;
    assert_eq!(server.objects(OBJECTS).len(), 1);
    index.delete(&plain_node("n", 512));
    writer::write_once(&api, NAMESPACE, &index).await;
    assert_eq!(server.objects(OBJECTS), Vec::<Value>::new());
}

/// It is written while a list is made that does not contain it yet; then the watch shows both of its versions.
#[tokio::test]
async fn an_object_that_a_list_misses_is_known_by_its_last_version() {
    let index = index(vec![plain_node("n", 512)], vec![], vec![class("dev", &[])]);
    let (server, client) = ApiServer::start(&index, |_| crds::PmemVolumeStatus::default());
    let api = Api::namespaced(client, NAMESPACE);
    index.update(Indexes::<CSIStorageCapacity>::begin_list);
    assert!(writer::write_once(&api, NAMESPACE, &index).await.is_empty());
    let first = server.objects(OBJECTS).remove(0);
    index.apply(volume("v", "n", 14));
    assert!(writer::write_once(&api, NAMESPACE, &index).await.is_empty());
    let second = server.objects(OBJECTS).remove(0);
    assert_ne!(
        first["metadata"]["resourceVersion"],
        second["metadata"]["resourceVersion"]
    );

    index.update(|index| Indexes::<CSIStorageCapacity>::reset(index, &HashSet::new()));
    for shown in [first, second] {
        index.apply(serde_json::from_value::<CSIStorageCapacity>(shown).unwrap());
    }
    index.apply(volume("w", "n", 14));
    server.take_writes();
    assert!(writer::write_once(&api, NAMESPACE, &index).await.is_empty());
    assert_eq!(server.take_writes().len(), 1);
}

/// Another operator wrote meanwhile, and the watch showed that first (found by the simulation).
#[tokio::test]
async fn an_answer_that_comes_late_hides_nothing_newer() {
    let index = index(vec![plain_node("n", 512)], vec![], vec![class("dev", &[])]);
    let (server, client) = ApiServer::start(&index, |_| crds::PmemVolumeStatus::default());
    let api = Api::namespaced(client, NAMESPACE);
    writer::write_once(&api, NAMESPACE, &index).await;
    let ours = server.objects(OBJECTS).remove(0);

    let name = ours["metadata"]["name"].as_str().unwrap().to_owned();
    let mut theirs = ours.clone();
    (theirs["capacity"], theirs["maximumVolumeSize"]) = (json!("1073741824"), json!("1073741824"));
    theirs["metadata"]["resourceVersion"] = json!("2000");
    server.store(format!("{OBJECTS}/{name}"), theirs.clone());
    index.apply(serde_json::from_value::<CSIStorageCapacity>(theirs).unwrap());
    let late = serde_json::from_value::<CSIStorageCapacity>(ours).unwrap();
    index.update(|index| index.capacity_written(name, PublishedCapacity::of(&late)));

    assert!(writer::write_once(&api, NAMESPACE, &index).await.is_empty());
    assert_eq!(server.objects(OBJECTS)[0]["capacity"], json!((502 << 20).to_string()));
}

#[tokio::test]
async fn what_somebody_changed_is_put_right() {
    let index = index(vec![plain_node("n", 512)], vec![], vec![class("dev", &[])]);
    let (server, client) = ApiServer::start(&index, |_| crds::PmemVolumeStatus::default());
    let api = Api::namespaced(client, NAMESPACE);
    writer::write_once(&api, NAMESPACE, &index).await;

    let mut object = server.objects(OBJECTS).remove(0);
    object["capacity"] = json!("1Ti");
    object["metadata"]["resourceVersion"] = json!("2000");
    let path = format!("{OBJECTS}/{}", object["metadata"]["name"].as_str().unwrap());
    server.store(path.clone(), object.clone());
    index.apply(serde_json::from_value::<CSIStorageCapacity>(object).unwrap());
    // Deleted first, as it is not as we write it; then made anew.
    writer::write_once(&api, NAMESPACE, &index).await;
    writer::write_once(&api, NAMESPACE, &index).await;
    assert_eq!(
        server.object(&path).unwrap()["capacity"],
        json!((502 << 20).to_string())
    );
}

#[tokio::test]
async fn an_object_of_that_name_that_is_not_ours_stays() {
    let index = index(vec![plain_node("n", 512)], vec![], vec![class("dev", &[])]);
    let (server, client) = ApiServer::start(&index, |_| crds::PmemVolumeStatus::default());
    let api = Api::namespaced(client, NAMESPACE);
    let name = index.read(|index| desired(index, "n")).remove(0).name();
    let foreign = json!({"metadata": {"name": name, "resourceVersion": "3"}, "storageClassName": "theirs"});
    server.store(format!("{OBJECTS}/{name}"), foreign.clone());
    let failed = writer::write_once(&api, NAMESPACE, &index).await;
    assert_eq!(failed, ["n".to_owned()].into());
    assert_eq!(server.object(&format!("{OBJECTS}/{name}")), Some(foreign));
}

/// The watch showed its end before the answer to its creation came (found by the simulation).
#[tokio::test]
async fn one_that_is_gone_although_we_know_of_it_is_made_anew() {
    let index = index(vec![plain_node("n", 512)], vec![], vec![class("dev", &[])]);
    let (server, client) = ApiServer::start(&index, |_| crds::PmemVolumeStatus::default());
    let api = Api::namespaced(client, NAMESPACE);
    writer::write_once(&api, NAMESPACE, &index).await;
    let made = server.objects(OBJECTS).remove(0);
    server.forget(&format!("{OBJECTS}/{}", made["metadata"]["name"].as_str().unwrap()));
    index.apply(volume("v", "n", 14));
    assert_eq!(
        writer::write_once(&api, NAMESPACE, &index).await,
        ["n".to_owned()].into()
    );
    index.update(|index| index.mark_dirty(["n".to_owned()]));
    assert!(writer::write_once(&api, NAMESPACE, &index).await.is_empty());
    assert_eq!(server.objects(OBJECTS).len(), 1);
}

/// Another operator had another in its place, and the watch showed that before the answer to our deletion came (found by the
/// simulation).
#[tokio::test]
async fn the_end_of_an_object_takes_away_no_newer_one() {
    let index = index(vec![plain_node("n", 512)], vec![], vec![]);
    let (name, object) = (capacity("dev", 10).name(), |uid: &str, version: &str| {
        let mut object = capacity("dev", 10).to_object(NAMESPACE);
        object.metadata.uid = Some(uid.into());
        object.metadata.resource_version = Some(version.into());
        object
    });
    index.apply(object("first", "1"));
    let (service, mut requests) = tower_test::mock::pair::<http::Request<Body>, http::Response<Body>>();
    let api = Api::namespaced(kube::Client::new(service, "default"), NAMESPACE);
    let writing = async { writer::write_once(&api, NAMESPACE, &index).await };
    let answering = async {
        let (request, answer) = requests.next_request().await.unwrap();
        assert_eq!(request.method(), http::Method::DELETE);
        index.delete(&object("first", "1"));
        index.apply(object("second", "3"));
        answer.send_response(http::Response::new(Body::from(b"{\"kind\":\"Status\"}".to_vec())));
    };
    let (failed, ()) = tokio::join!(writing, answering);
    assert!(failed.is_empty());
    let known: Vec<(String, String)> = index.read(|index| {
        let known = index.capacities("n");
        known.map(|(name, object)| (name.clone(), object.uid.clone())).collect()
    });
    assert_eq!(known, [(name, "second".into())]);
}

/// The watch showed its end before the answer to its creation came, and it says what it should: nothing else has it written again.
#[tokio::test(start_paused = true)]
async fn what_the_watch_does_not_show_is_written_again() {
    let index = index(vec![plain_node("n", 512)], vec![], vec![class("dev", &[])]);
    let (server, client) = ApiServer::start(&index, |_| crds::PmemVolumeStatus::default());
    let api = Api::namespaced(client.clone(), NAMESPACE);
    assert!(writer::write_once(&api, NAMESPACE, &index).await.is_empty());
    let made = server.objects(OBJECTS).remove(0);
    server.forget(&format!("{OBJECTS}/{}", made["metadata"]["name"].as_str().unwrap()));
    let mut background = tokio::task::JoinSet::new();
    background.spawn(writer::doubt(index.clone()));
    background.spawn(writer::run(client, NAMESPACE.into(), index.clone()));
    let shown = async {
        while server.objects(OBJECTS).is_empty() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), shown).await.unwrap();

    // What the watch shows is written no more.
    for object in server.objects(OBJECTS) {
        index.apply(serde_json::from_value::<CSIStorageCapacity>(object).unwrap());
    }
    server.take_writes();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(server.take_writes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_write_that_fails_is_reported_and_changes_nothing() {
    let index = index(vec![plain_node("n", 512)], vec![], vec![class("dev", &[])]);
    let (server, client) = ApiServer::start(&index, |_| crds::PmemVolumeStatus::default());
    let api = Api::namespaced(client, NAMESPACE);
    server.fail(Some(http::StatusCode::INTERNAL_SERVER_ERROR));
    assert_eq!(
        writer::write_once(&api, NAMESPACE, &index).await,
        ["n".to_owned()].into()
    );
    server.fail(None);
    index.update(|index| index.mark_dirty(["n".to_owned()]));
    assert!(writer::write_once(&api, NAMESPACE, &index).await.is_empty());
    assert_eq!(server.objects(OBJECTS).len(), 1);
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// A partition, an admission webhook that hangs: capacity of the others goes on.
#[tokio::test]
async fn a_write_that_takes_long_keeps_no_other_node_waiting() {
    let nodes = vec![plain_node("slow", 512), plain_node("n", 512)];
    let index = index(nodes, vec![], vec![class("dev", &[])]);
    let (service, mut requests) = tower_test::mock::pair::<http::Request<Body>, http::Response<Body>>();
    let client = kube::Client::new(service, "default");
    let writer = tokio::spawn(writer::run(client, NAMESPACE.into(), index.clone()));
    let mut stored = json!({});
    let mut hanging = Vec::new();
    for version in 1..=3 {
        let (body, answer) = loop {
            let (request, answer) = requests.next_request().await.unwrap();
            let path = request.uri().path().to_owned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap();
            if !(path + &body.to_string()).contains("slow") {
                break (body, answer);
            }
            hanging.push(answer);
        };
        merge(&mut stored, body);
        merge(
            &mut stored,
            json!({ "metadata": { "uid": "u", "resourceVersion": version.to_string() } }),
        );
        answer.send_response(http::Response::new(Body::from(stored.to_string().into_bytes())));
        index.apply(volume(&format!("v{version}"), "n", 14));
    }
    assert_eq!(hanging.len(), 1);
    writer.abort();
}

/// Holes of one region, as gaps and sizes in MiB.
fn holes() -> impl Strategy<Value = Vec<(u32, u32)>> {
    prop::collection::vec((1_u32..64, 1_u32..300), 0..5).prop_map(|parts| {
        let mut at = 0;
        parts
            .into_iter()
            .map(|(gap, size)| {
                let hole = (at + gap, size);
                at += gap + size;
                hole
            })
            .collect()
    })
}

proptest! {
    /// Published capacity never exceeds what one CreateVolume can get, and is never less.
    #[test]
    fn published_capacity_can_be_placed_and_one_byte_more_cannot(
        zero in holes(), one in holes(), none in holes(), pending in prop::collection::vec(1_u32..200, 0..6),
        mode in prop::sample::select(vec!["fsdax", "sector"]),
    ) {
        let regions = [(Some(0), zero.as_slice()), (Some(1), one.as_slice()), (None, none.as_slice())];
        let volumes = pending.iter().enumerate().map(|(at, mib)| volume(&format!("v{at}"), "n", *mib)).collect();
        let index = index(vec![node("n", &regions)], volumes, vec![class("c", &[("csi.daxfit.dev/mode", mode)])]);
        let view = index.read(|index| index.free_space("n")).unwrap();
        for capacity in index.read(|index| desired(index, "n")) {
            let only_there = placement::Node {
                regions: view.regions.iter().filter(|region| region.numa == capacity.numa).cloned().collect(),
                ..placement::Node::default()
            };
            let mode = if mode == "fsdax" { crds::VolumeMode::Fsdax } else { crds::VolumeMode::Sector };
            let request = |required| VolumeRequest {
                required, limit: None, mode: mode.with_map(placement::MapLocation::Dev), numa: NumaWish::Any,
            };
            if !capacity.usable.is_zero() {
                let placed = only_there.clone().place(&request(capacity.usable)).unwrap();
                prop_assert_eq!(placed.usable, capacity.usable);
            }
            prop_assert!(only_there.clone().place(&request(capacity.usable.plus(Bytes::new(1)))).is_err());
        }
    }
}

#[test]
fn a_node_without_a_driver_has_none() {
    let shared = index(vec![plain_node("n1", 64)], vec![], vec![class("fast", &[])]);
    let published = || shared.read(|index| desired(index, "n1")).len();
    assert_eq!(published(), 1);
    shared.update(|index| _ = index.take_dirty_beside(&BTreeSet::new(), usize::MAX));
    shared.apply(csi_node("n1", false));
    assert_eq!(published(), 0);
    assert!(shared.read(|index| index.is_dirty_beside(&BTreeSet::new())));
    shared.apply(csi_node("n1", true));
    assert_eq!(published(), 1);
}
