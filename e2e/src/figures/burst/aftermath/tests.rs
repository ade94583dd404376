use super::*;
use crate::harness::hollow::pods::pod_object;
use serde_json::json;

const MIB: i64 = 1 << 20;

/// A node with one region of 64 MiB, of which this is free.
fn node(name: &str, free_mib: i64) -> PmemNode {
    let region = json!({
        "id": "r", "device": "r", "bus": "emulated", "numaNode": 0, "size": 64 * MIB, "alignment": 2 * MIB, "ways": 1,
        "persistenceDomain": "unknown", "state": "Ready", "message": "",
        "free": [{ "start": 0, "size": free_mib * MIB }], "foreign": { "count": 0, "bytes": 0 },
    });
    let totals = json!({ "size": 64 * MIB, "free": free_mib * MIB, "largest": free_mib * MIB });
    let mut node = PmemNode::new(name, crds::PmemNodeFields {});
    node.status =
        Some(serde_json::from_value(json!({ "layoutRevision": 1, "regions": [region], "totals": totals })).unwrap());
    node
}

fn pod(name: &str, claims: &[&str], node: Option<&str>) -> Pod {
    let claims: Vec<String> = claims.iter().map(|claim| (*claim).to_owned()).collect();
    let mut pod: Pod = serde_json::from_value(pod_object(name, &claims)).unwrap();
    pod.metadata.namespace = Some(NAMESPACE.into());
    pod.spec.as_mut().unwrap().node_name = node.map(str::to_owned);
    pod
}

fn claim(name: &str, mib: i64) -> PersistentVolumeClaim {
    serde_json::from_value(json!({
        "metadata": { "namespace": NAMESPACE, "name": name, "uid": format!("uid-of-{name}") },
        "spec": { "storageClassName": "c", "resources": { "requests": { "storage": (mib * MIB).to_string() } } },
    }))
    .unwrap()
}

fn volume(claim: &str, node: &str) -> PmemVolume {
    let spec = json!({ "node": node, "required": 1, "mode": "fsdax" });
    let mut volume = PmemVolume::new(&format!("pvc-uid-of-{claim}"), serde_json::from_value(spec).unwrap());
    volume.status = Some(serde_json::from_value(json!({ "phase": "Ready", "layoutRevision": 1 })).unwrap());
    volume
}

fn objects(pods: Vec<Pod>, volumes: Vec<PmemVolume>) -> Aftermath {
    let class = serde_json::from_value(json!({
        "metadata": { "name": "c" }, "provisioner": "csi.daxfit.dev", "volumeBindingMode": "WaitForFirstConsumer",
    }))
    .unwrap();
    let claims = [("small", 10), ("medium", 28), ("large", 44)];
    let objects = Objects {
        nodes: vec![node("a", 32), node("b", 48)],
        volumes,
        pods,
        claims: claims.map(|(name, mib)| claim(name, mib)).into(),
        classes: vec![class],
    };
    objects.aftermath().unwrap()
}

#[test]
fn a_pod_without_a_node_that_fits_is_named() {
    let pods = vec![pod("on", &["small"], Some("a")), pod("off", &["large"], None)];
    let aftermath = objects(pods, Vec::new());
    assert_eq!((aftermath.placed, aftermath.unplaced), (1, 1));
    assert_eq!(aftermath.that_fit, ["off"]);
    assert!((aftermath.used - 48.0 / 128.0).abs() < 1e-9);
}

#[test]
fn all_claims_of_a_pod_have_to_fit_together() {
    let pods = vec![pod("off", &["large", "medium"], None)];
    assert!(objects(pods, Vec::new()).that_fit.is_empty());
}

#[test]
fn a_volume_holds_its_pod_where_it_is() {
    let off = || vec![pod("off", &["small", "large"], None)];
    let on_a = objects(off(), vec![volume("small", "a")]);
    assert_eq!((on_a.that_fit.len(), on_a.with_volumes, on_a.volumes), (0, 1, 1));
    let on_b = objects(off(), vec![volume("small", "b")]);
    assert_eq!(on_b.that_fit, ["off"]);
}
