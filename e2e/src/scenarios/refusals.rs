//! What is refused, and with which words.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::harness::test_cluster::TestCluster;
use crate::harness::workload::{self, Claim, OF_A_TEST};

/// Nothing and more than there are bytes.
pub(super) async fn sizes_that_are_none_are_refused(cluster: &mut TestCluster) -> Result<()> {
    let zero = cluster
        .kubectl
        .apply(&[Claim::new("zero", "0", "daxfit-ext4").object()])
        .await;
    let refusal = zero.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(
        refusal.contains("greater than zero"),
        "a claim of 0 is not refused: {refusal:?}"
    );
    let most = [Claim::new("most", "9223372036854775807", "daxfit-ext4")];
    cluster.submit("most", &most).await?;
    workload::event(&cluster.kubectl, "most", &["asked 9223372036854775807 B"]).await?;
    cluster.stop("most", &most).await?;
    // Kubernetes itself caps a quantity beyond i64 at its largest value.
    let beyond = [Claim::new("beyond", "9223372036854775808", "daxfit-ext4")];
    cluster.submit("beyond", &beyond).await?;
    workload::event(&cluster.kubectl, "beyond", &["9223372036854775807"]).await?;
    cluster.stop("beyond", &beyond).await
}

/// CreateVolume sees the limit of the claim, though external-provisioner does not send it.
pub(super) async fn a_limit_that_no_volume_keeps_is_refused(cluster: &mut TestCluster) -> Result<()> {
    let claim = Claim::new("tight", "27Mi", WRONG);
    let mut object = claim.object();
    object["spec"]["resources"]["limits"] = json!({ "storage": "27Mi" });
    cluster.kubectl.apply(&[class(&json!({}), &[]), object]).await?;
    workload::event(&cluster.kubectl, claim.name, &["raise the limit to 28 MiB"]).await?;
    cluster.kubectl.run(&["delete", "pvc", claim.name]).await?;
    cluster.kubectl.run(&["delete", "storageclass", WRONG]).await?;
    Ok(())
}

/// CreateVolume names the parameter and what is allowed instead.
pub(super) async fn a_wrong_parameter_is_named_in_the_event(cluster: &mut TestCluster) -> Result<()> {
    let class = class(&json!({ "csi.daxfit.dev/mode": "devdax" }), &[]);
    is_refused(cluster, class, &["csi.daxfit.dev/mode", "devdax", "fsdax, sector"]).await
}

/// CreateVolume refuses the class. Where a PersistentVolume names the device, the node refuses to mount it, until the option
/// is taken out and the pod is made anew.
pub(super) async fn a_mount_option_that_names_another_device_is_refused(cluster: &mut TestCluster) -> Result<()> {
    let xfs = json!({ "csi.storage.k8s.io/fstype": "xfs" });
    let words = [
        "mount option",
        "logdev=/dev/vda",
        "is not one that a volume with xfs can have",
    ];
    is_refused(cluster, class(&xfs, &["noatime", "logdev=/dev/vda"]), &words).await?;
    let claims = [Claim::new("leads-away", "20Mi", WRONG)];
    let kubectl = &cluster.kubectl;
    kubectl
        .apply(&[class(&json!({}), &["noatime"]), claims[0].object()])
        .await?;
    workload::bound(kubectl, claims[0].name).await?;
    let volume = workload::volume_of(kubectl, claims[0].name).await?;
    let options = async |options: &[&str]| {
        let patch = json!({ "spec": { "mountOptions": options } }).to_string();
        kubectl
            .run(&["patch", "pv", &volume, "--type=merge", "-p", &patch])
            .await
    };
    options(&["journal_path=/dev/vda"]).await?;
    cluster.submit("leads-away", &claims).await?;
    let words = ["journal_path=/dev/vda", "is not one that a volume with ext4 can have"];
    workload::event(kubectl, "leads-away", &words).await?;
    // A kubelet keeps what it read of the volume as long as a pod that uses it is there.
    kubectl.run(&["delete", "pod", "leads-away"]).await?;
    options(&["noatime"]).await?;
    cluster.start("leads-away", &claims).await?;
    cluster.stop("leads-away", &claims).await?;
    kubectl.run(&["delete", "storageclass", WRONG]).await?;
    Ok(())
}

/// kube-scheduler would choose a node for each of them, and external-provisioner would leave it there for ever. Together they
/// ask for more than there is, and a pod that comes after them gets the largest volume.
pub(super) async fn claims_that_nobody_makes_a_volume_for_hold_no_space(cluster: &mut TestCluster) -> Result<()> {
    let kubectl = &cluster.kubectl;
    let node = kubectl
        .run(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"])
        .await?;
    let term = |key| json!({ "matchLabelExpressions": [{ "key": key, "values": [node.clone()] }] });
    let host = term("kubernetes.io/hostname");
    let mut zonal = workload::class(WRONG, "any", "WaitForFirstConsumer");
    zonal["allowedTopologies"] = json!([host]);
    // kube-scheduler may choose a node by the term of others, where external-provisioner then makes nothing.
    let mut mixed = workload::class("mixed", "any", "WaitForFirstConsumer");
    mixed["allowedTopologies"] = json!([host, term("topology.csi.daxfit.dev/node")]);
    let mut tiny = workload::class("tiny", "any", "WaitForFirstConsumer");
    tiny["parameters"]["csi.storage.k8s.io/fstype"] = json!("xfs");
    let vain: [(&str, Value, &str); 7] = [
        (
            "many",
            json!({ "accessModes": ["ReadWriteMany"] }),
            "access mode ReadWriteMany",
        ),
        (
            "clone",
            json!({ "dataSource": { "kind": "PersistentVolumeClaim", "name": "many" } }),
            "remove the claim's dataSource",
        ),
        (
            "gold",
            json!({ "volumeAttributesClassName": "gold" }),
            "remove the claim's volumeAttributesClassName",
        ),
        (
            "choosy",
            json!({ "selector": { "matchLabels": { "a": "b" } } }),
            "no volume is made for a claim with a selector",
        ),
        (
            "zonal",
            json!({ "storageClassName": WRONG }),
            "allowedTopologies of the StorageClass",
        ),
        (
            "mixed",
            json!({ "storageClassName": "mixed" }),
            "allowedTopologies of the StorageClass",
        ),
        (
            "tiny",
            json!({ "storageClassName": "tiny", "resources": { "requests": { "storage": "200Mi" } } }),
            "xfs needs at least",
        ),
    ];
    kubectl.apply(&[zonal, mixed, tiny]).await?;
    for (name, changes, _) in &vain {
        let claim = Claim::new(name, "400Mi", "daxfit-ext4");
        let mut object = claim.object();
        for (field, value) in changes.as_object().into_iter().flatten() {
            object["spec"][field] = value.clone();
        }
        kubectl
            .apply(&[object, workload::pod(name, cluster.image(), &[claim])])
            .await?;
    }
    for (name, _, words) in &vain {
        workload::event(kubectl, name, &[words]).await?;
        let claim = kubectl.json(&["get", "pvc", name]).await?;
        let annotations = claim["metadata"]["annotations"].as_object();
        let is_selected = annotations.is_some_and(|all| all.contains_key("volume.kubernetes.io/selected-node"));
        ensure!(!is_selected, "a node was chosen for {claim}");
    }
    let fits = [Claim::new("fits", "400Mi", "daxfit-ext4")];
    cluster.start("fits", &fits).await?;
    for name in vain.iter().map(|(name, ..)| *name).chain(["fits"]) {
        cluster.stop(name, &[Claim::new(name, "400Mi", "daxfit-ext4")]).await?;
    }
    kubectl.run(&["delete", "storageclass", WRONG, "mixed", "tiny"]).await?;
    Ok(())
}

/// The class of these tests, which binds at once.
const WRONG: &str = "wrong";

fn class(parameters: &Value, options: &[&str]) -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": { "name": WRONG, "labels": { OF_A_TEST: "" } },
        "provisioner": "csi.daxfit.dev",
        "parameters": parameters,
        "mountOptions": options,
        "volumeBindingMode": "Immediate",
    })
}

/// A claim of that class gets an event with all `words`, and no volume.
async fn is_refused(cluster: &TestCluster, class: Value, words: &[&str]) -> Result<()> {
    let claim = Claim::new("wrong", "400Mi", WRONG);
    cluster.kubectl.apply(&[class, claim.object()]).await?;
    workload::event(&cluster.kubectl, claim.name, words).await?;
    cluster.kubectl.run(&["delete", "pvc", claim.name]).await?;
    cluster.kubectl.run(&["delete", "storageclass", WRONG]).await?;
    Ok(())
}
