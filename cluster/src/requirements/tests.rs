use std::collections::HashMap;

use crds::{NumaChoice, PmemVolume};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod as ApiPod};
use k8s_openapi::api::storage::v1::StorageClass;
use placement::{Bytes, NumaNode};
use serde_json::{Value, json};

use super::*;

/// A cluster in which everything is indexed but the class "unread".
#[derive(Default)]
struct Cluster {
    claims: HashMap<ObjectKey, Claim>,
    classes: HashMap<String, Class>,
    bound: HashMap<String, (String, NumaNode)>,
    volumes: HashMap<String, (String, NumaNode)>,
}

fn place(place: &(String, NumaNode)) -> VolumePlace<'_> {
    VolumePlace {
        node: &place.0,
        numa: Some(place.1),
    }
}

impl Lookup for Cluster {
    fn claim(&self, key: &ObjectKey) -> Result<Option<&Claim>, NotIndexed> {
        Ok(self.claims.get(key))
    }

    fn class(&self, name: &str) -> Result<Option<&Class>, NotIndexed> {
        if name == "unread" {
            return Err(NotIndexed::Class(name.into()));
        }
        Ok(self.classes.get(name))
    }

    fn bound_volume(&self, persistent_volume: &str) -> Option<VolumePlace<'_>> {
        self.bound.get(persistent_volume).map(place)
    }

    fn volume(&self, name: &str) -> Option<VolumePlace<'_>> {
        self.volumes.get(name).map(place)
    }

    fn knows_volume(&self, name: &str) -> Result<(), NotIndexed> {
        match name {
            "pvc-uid-of-unshown" => Err(NotIndexed::Volume(name.into())),
            _ => Ok(()),
        }
    }

    fn numa_of(&self, volume: &PmemVolume) -> Option<NumaNode> {
        match volume.spec.numa {
            NumaChoice::Any => None,
            NumaChoice::Node(numa) => Some(numa),
        }
    }
}

impl Cluster {
    fn new() -> Self {
        let mut cluster = Self::default();
        cluster.add_class("any", "WaitForFirstConsumer", &json!({}));
        cluster.add_class(
            "together",
            "WaitForFirstConsumer",
            &json!({ "csi.daxfit.dev/numa": "together" }),
        );
        cluster.add_class(
            "xfs",
            "WaitForFirstConsumer",
            &json!({ "csi.storage.k8s.io/fstype": "xfs" }),
        );
        cluster.add_class("now", "Immediate", &json!({}));
        cluster
    }

    fn add_class(&mut self, name: &str, binding: &str, parameters: &Value) {
        let class: StorageClass = serde_json::from_value(json!({
            "metadata": { "name": name }, "provisioner": "csi.daxfit.dev", "volumeBindingMode": binding,
            "parameters": parameters,
        }))
        .unwrap();
        self.classes.insert(name.into(), Class::from(&class));
    }

    /// A claim of 20 MiB, with `changes` merged in.
    fn add_claim(&mut self, name: &str, class: &str, changes: Value) {
        let mut claim = json!({
            "metadata": { "namespace": "ns", "name": name, "uid": format!("uid-of-{name}") },
            "spec": {
                "accessModes": ["ReadWriteOnce"], "storageClassName": class,
                "resources": { "requests": { "storage": "20Mi" } },
            },
        });
        merge(&mut claim, changes);
        let claim: PersistentVolumeClaim = serde_json::from_value(claim).unwrap();
        self.claims.insert(ObjectKey::new("ns", name), Claim::from(&claim));
    }

    fn requirements(&self, claims: &[&str]) -> Requirements {
        requirements_of(&pod_with(claims), self).unwrap()
    }

    fn missing(&self, claims: &[&str]) -> Vec<NotIndexed> {
        requirements_of(&pod_with(claims), self).unwrap_err()
    }

    fn impossible(&self, claims: &[&str]) -> String {
        match self.requirements(claims) {
            Requirements::Impossible(impossible) => impossible.to_string(),
            other => panic!("{other:?}"),
        }
    }

    fn space(&self, claims: &[&str]) -> SpaceRequirements {
        match self.requirements(claims) {
            Requirements::Space(space) => space,
            other => panic!("{other:?}"),
        }
    }
}

/// A pod with these claims; those that begin with "p-" are ephemeral.
fn pod_with(claims: &[&str]) -> Pod {
    let volumes = claims.iter().map(|claim| match claim.strip_prefix("p-") {
        Some(volume) => json!({ "name": volume, "ephemeral": {} }),
        None => json!({ "name": claim, "persistentVolumeClaim": { "claimName": claim } }),
    });
    let pod: ApiPod = serde_json::from_value(json!({
        "metadata": { "namespace": "ns", "name": "p", "uid": "uid-of-p" },
        "spec": { "containers": [], "volumes": volumes.collect::<Vec<_>>() },
    }))
    .unwrap();
    Pod::from(&pod)
}

fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, value) in changes {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, changes) => *into = changes,
    }
}

fn owned_by(uid: &str, controller: bool) -> Value {
    json!({ "metadata": { "ownerReferences": [
        { "apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid, "controller": controller },
    ] } })
}

#[test]
fn claims_of_others_require_nothing() {
    let mut cluster = Cluster::new();
    cluster.add_claim("foreign", "of-another-driver", json!({}));
    cluster.add_claim("immediate", "now", json!({}));
    assert_eq!(cluster.requirements(&["foreign", "immediate"]), Requirements::Nothing);
    assert_eq!(cluster.requirements(&[]), Requirements::Nothing);
}

#[test]
fn what_is_not_indexed_has_to_be_read() {
    let mut cluster = Cluster::new();
    cluster.add_claim("data", "unread", json!({}));
    let pod = Pod::new("ns", "p", "uid-of-p", [crate::PodVolume::Claim("data")]);
    let missing = NotIndexed::Class("unread".into());
    assert_eq!(requirements_of(&pod, &cluster), Err(vec![missing]));
    let mut read = ReadObjects::default();
    read.add_class("unread".into(), Some(cluster.classes["any"].clone()));
    let lookup = IndexedOrRead {
        index: &cluster,
        read: &read,
    };
    assert_eq!(requirements_of(&pod, &lookup).unwrap().claims().len(), 1);
}

#[test]
fn an_unbound_claim_requires_space() {
    let mut cluster = Cluster::new();
    cluster.add_claim("data", "any", json!({}));
    let space = cluster.space(&["data"]);
    assert!(space.nodes.is_empty());
    assert_eq!(space.requests()[0].required, Bytes::mib(20));
    assert_eq!(
        (&*space.claims[0].uid, &*space.claims[0].key.name),
        ("uid-of-data", "data")
    );
}

#[test]
fn claims_that_came_somewhere_require_that_node() {
    let mut cluster = Cluster::new();
    let selected = json!({ "metadata": { "annotations": { "volume.kubernetes.io/selected-node": "n" } } });
    cluster.add_claim("selected", "any", selected);
    cluster.add_claim("made", "any", json!({}));
    cluster.add_claim("bound", "any", json!({ "spec": { "volumeName": "pv" } }));
    cluster
        .volumes
        .insert("pvc-uid-of-made".into(), ("n".into(), NumaNode(0)));
    cluster.bound.insert("pv".into(), ("other".into(), NumaNode(0)));
    let space = cluster.space(&["selected", "made", "bound"]);
    let reasons: Vec<&str> = space.nodes.iter().map(|node| &*node.reason).collect();
    assert_eq!(
        reasons,
        [
            "claim ns/bound is on node other",
            "claim ns/made is being made on node n",
            "claim ns/selected was given to node n",
        ]
    );
    assert_eq!(space.claims.len(), 1);
    assert_eq!(space.claims[0].selected_node.as_deref(), Some("n"));
    assert_eq!(space.reason_against("n").map(|reason| &**reason), Some(reasons[0]));
}

#[test]
fn an_ephemeral_claim_is_its_controllers() {
    let mut cluster = Cluster::new();
    cluster.add_claim("p-own", "any", owned_by("uid-of-p", true));
    cluster.add_claim("p-other", "any", owned_by("uid-of-q", true));
    // Whoever may make claims can name any owner; the pod's controller reference is what the ephemeral controller sets.
    cluster.add_claim("p-owned", "any", owned_by("uid-of-p", false));
    assert_eq!(cluster.space(&["p-own"]).claims.len(), 1);
    assert_eq!(
        cluster.impossible(&["p-other"]),
        "claim ns/p-other was not made for this pod"
    );
    assert_eq!(
        cluster.impossible(&["p-owned"]),
        "claim ns/p-owned was not made for this pod"
    );
    assert_eq!(cluster.impossible(&["p-none"]), "claim ns/p-none does not exist");
}

#[test]
fn the_old_annotation_names_the_class() {
    let mut cluster = Cluster::new();
    let annotated =
        |class: &str| json!({ "metadata": { "annotations": { "volume.beta.kubernetes.io/storage-class": class } } });
    cluster.add_claim("ours", "unknown", annotated("any"));
    cluster.add_claim("nobodys", "any", annotated(""));
    let space = cluster.space(&["ours", "nobodys"]);
    assert_eq!(space.claims.len(), 1);
    assert_eq!(&*space.claims[0].key.name, "ours");
}

/// external-provisioner leaves such claims with their selected node, and never asks for their volumes.
#[test]
fn what_nobody_makes_a_volume_for_is_impossible() {
    let mut cluster = Cluster::new();
    let copy = |kind: &str| json!({ "spec": { "dataSource": { "kind": kind, "name": "other" } } });
    cluster.add_claim("clone", "any", copy("PersistentVolumeClaim"));
    cluster.add_claim(
        "restored",
        "any",
        json!({ "spec": { "dataSourceRef": { "kind": "VolumeSnapshot", "name": "other", "namespace": "elsewhere" } } }),
    );
    cluster.add_claim(
        "gold",
        "any",
        json!({ "spec": { "volumeAttributesClassName": "gold" } }),
    );
    cluster.add_claim(
        "choosy",
        "any",
        json!({ "spec": { "selector": { "matchLabels": { "a": "b" } } } }),
    );
    for (claim, reason) in [
        ("clone", "remove the claim's dataSource"),
        ("restored", "remove the claim's dataSource"),
        ("gold", "remove the claim's volumeAttributesClassName"),
        ("choosy", "no volume is made for a claim with a selector"),
    ] {
        let impossible = cluster.impossible(&[claim]);
        assert!(impossible.contains(reason), "{impossible}");
    }
    // A populator makes a volume of its own for this one.
    cluster.add_claim("populated", "any", copy("Database"));
    cluster.add_claim("plain", "any", json!({ "spec": { "volumeAttributesClassName": "" } }));
    assert_eq!(cluster.space(&["populated", "plain"]).claims.len(), 2);
}

#[test]
fn a_class_for_other_topologies_has_no_volumes() {
    let terms = |keys: &[&[&str]]| {
        let expression = |key: &&str| json!({ "key": key, "values": ["x"] });
        let term = |keys: &&[&str]| json!({ "matchLabelExpressions": keys.iter().map(expression).collect::<Vec<_>>() });
        json!(keys.iter().map(term).collect::<Vec<_>>())
    };
    let (zone, node) = ("topology.kubernetes.io/zone", "topology.csi.daxfit.dev/node");
    for (topologies, is_possible) in [
        (terms(&[]), true),
        (terms(&[&[node]]), true),
        (terms(&[&[node], &[node]]), true),
        // A pod would be sent to a node of the zone, where external-provisioner makes nothing.
        (terms(&[&[zone], &[node]]), false),
        (terms(&[&[zone]]), false),
        (terms(&[&[zone, node]]), false),
    ] {
        let mut cluster = Cluster::new();
        let class: StorageClass = serde_json::from_value(json!({
            "metadata": { "name": "zonal" }, "provisioner": "csi.daxfit.dev",
            "volumeBindingMode": "WaitForFirstConsumer", "allowedTopologies": topologies,
        }))
        .unwrap();
        cluster.classes.insert("zonal".into(), Class::from(&class));
        cluster.add_claim("c", "zonal", json!({}));
        let required = cluster.requirements(&["c"]);
        assert_eq!(
            matches!(required, Requirements::Space(_)),
            is_possible,
            "{topologies}: {required:?}"
        );
        if !is_possible {
            let reason = cluster.impossible(&["c"]);
            assert!(
                reason.contains("can name nodes by topology.csi.daxfit.dev/node only"),
                "{reason}"
            );
        }
    }
}

#[test]
fn what_no_volume_can_be_is_impossible() {
    let mut cluster = Cluster::new();
    cluster.add_claim("small", "xfs", json!({}));
    cluster.add_claim("block", "xfs", json!({ "spec": { "volumeMode": "Block" } }));
    cluster.add_claim(
        "many",
        "any",
        json!({ "spec": { "accessModes": ["ReadWriteOnce", "ReadWriteMany"] } }),
    );
    cluster.add_claim("none", "any", json!({ "spec": { "resources": { "requests": null } } }));
    cluster.add_claim(
        "odd",
        "any",
        json!({ "spec": { "resources": { "requests": { "storage": "lots" } } } }),
    );
    cluster.add_claim(
        "reversed",
        "any",
        json!({ "spec": { "resources": { "limits": { "storage": "1Mi" } } } }),
    );
    for (claim, reason) in [
        (
            "small",
            "asked for 20 MiB, but xfs needs at least 300 MiB: ask for more, or for ext4",
        ),
        (
            "many",
            "access mode ReadWriteMany needs several nodes, but persistent memory can be reached from its own node only: \
             use ReadWriteOnce or ReadWriteOncePod",
        ),
        (
            "none",
            "the claim requests no storage: set spec.resources.requests.storage",
        ),
        (
            "reversed",
            "asked for at least 20 MiB and at most 1 MiB: raise the limit or lower the request",
        ),
    ] {
        assert_eq!(cluster.impossible(&[claim]), format!("claim ns/{claim}: {reason}"));
    }
    assert!(cluster.impossible(&["odd"]).contains("is not a number of bytes"));
    assert_eq!(cluster.space(&["block"]).claims.len(), 1);
}

#[test]
fn mount_options_matter_to_volumes_that_are_mounted() {
    let mut cluster = Cluster::new();
    let class: StorageClass = serde_json::from_value(json!({
        "metadata": { "name": "away" }, "provisioner": "csi.daxfit.dev",
        "volumeBindingMode": "WaitForFirstConsumer",
        "mountOptions": ["noatime", "journal_path=/dev/sda"],
    }))
    .unwrap();
    cluster.classes.insert("away".into(), Class::from(&class));
    cluster.add_claim("mounted", "away", json!({}));
    cluster.add_claim("block", "away", json!({ "spec": { "volumeMode": "Block" } }));
    let refused = cluster.impossible(&["mounted"]);
    assert!(
        refused
            .starts_with("claim ns/mounted: mount option \"journal_path=/dev/sda\" is not one that a volume with ext4"),
        "{refused}"
    );
    assert_eq!(cluster.space(&["block"]).claims.len(), 1);
}

/// One watch may be further than another.
#[test]
fn where_a_companion_is_that_has_a_node_has_to_be_known() {
    let mut cluster = Cluster::new();
    let given = json!({ "metadata": { "annotations": { "volume.kubernetes.io/selected-node": "n" } } });
    cluster.add_claim("unshown", "together", given.clone());
    let missing = NotIndexed::Volume("pvc-uid-of-unshown".into());
    assert_eq!(cluster.missing(&["unshown"]), std::slice::from_ref(&missing));
    let bound = json!({ "spec": { "volumeName": "pvc-uid-of-unshown" } });
    cluster.add_claim("unshown", "together", bound);
    assert_eq!(cluster.missing(&["unshown"]), [missing]);
    // It matters to nobody else.
    cluster.add_claim("unshown", "any", given);
    assert_eq!(cluster.space(&["unshown"]).claims.len(), 1);
}

#[test]
fn together_means_where_the_others_are() {
    let mut cluster = Cluster::new();
    for name in ["a", "b", "c"] {
        cluster.add_claim(name, "together", json!({}));
    }
    cluster.volumes.insert("pvc-uid-of-a".into(), ("n".into(), NumaNode(1)));
    let space = cluster.space(&["a", "c"]);
    assert_eq!(space.claims[0].request.numa, NumaWish::Node(NumaNode(1)));
    cluster.volumes.insert("pvc-uid-of-b".into(), ("n".into(), NumaNode(0)));
    assert!(
        cluster
            .impossible(&["a", "b", "c"])
            .starts_with("claim ns/c: its class wishes it on one NUMA node")
    );
    // On different nodes, no node will do anyway.
    cluster.volumes.insert("pvc-uid-of-b".into(), ("m".into(), NumaNode(0)));
    assert_eq!(cluster.space(&["a", "b", "c"]).nodes.len(), 2);
}
