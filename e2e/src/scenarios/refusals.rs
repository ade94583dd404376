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
