//! csi-sanity on the PMEM node.
//!
//! It wants both sockets on one machine, so for as long as it runs the operator's pod is moved there, without the
//! external-provisioner, and its socket is put where the host sees it.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::vm_node;
use crate::harness::kubectl::{Kubectl, SYSTEM_NAMESPACE};
use crate::harness::vm::Vm;

const OPERATOR: &str = "deployment/daxfit-operator";
const FOLDER: &str = "/run/csi-sanity";
const NODE_SOCKET: &str = "/var/lib/kubelet/plugins/csi.daxfit.dev/csi.sock";
/// Below the kubelet's, where the node driver can mount.
const MOUNTS: &str = "/var/lib/kubelet/csi-sanity";
/// A namespace holds this with room to spare for several at once.
const VOLUME_BYTES: u32 = 32 << 20;

/// Runs the suite and returns its report, also if tests fail.
pub(super) async fn report(kubectl: &Kubectl, vm: &Vm) -> Result<String> {
    // The operator is not root.
    vm.shell(&format!("mkdir -p {FOLDER} {MOUNTS} && chmod 777 {FOLDER}"))
        .await?;
    let report = async {
        let moved = move_operator(kubectl).await;
        moved.context("moving the operator to the PMEM node")?;
        vm.run(&command_line()).await
    }
    .await;
    // Whatever came of it, the next scenario finds the operator where it was.
    let line = ["rollout", "undo", "--namespace", SYSTEM_NAMESPACE, OPERATOR];
    kubectl.run(&line).await?;
    kubectl.rolled_out(OPERATOR).await.context("moving the operator back")?;
    let report = report?;
    Ok(report.stdout + &report.stderr)
}

async fn move_operator(kubectl: &Kubectl) -> Result<()> {
    let patch = patch().to_string();
    kubectl
        .run(&[
            "patch",
            "--namespace",
            SYSTEM_NAMESPACE,
            OPERATOR,
            "--type=json",
            "--patch",
            &patch,
        ])
        .await?;
    kubectl.rolled_out(OPERATOR).await
}

/// The operator is the pod's first container and `csi` its only volume, see `manifests/base/operator.yaml`.
fn patch() -> Value {
    let template = "/spec/template/spec";
    json!([
        {"op": "add", "path": format!("{template}/nodeSelector"), "value": {"kubernetes.io/hostname": vm_node::NAME}},
        {"op": "remove", "path": format!("{template}/containers/1")},
        {"op": "replace", "path": format!("{template}/volumes/0"), "value": {
            "name": "csi",
            "hostPath": {"path": FOLDER, "type": "Directory"},
        }},
    ])
}

fn command_line() -> String {
    format!(
        "/mnt/tools/csi-sanity --ginkgo.v --ginkgo.no-color --csi.endpoint=unix://{NODE_SOCKET} \
         --csi.controllerendpoint=unix://{FOLDER}/csi.sock --csi.testvolumesize={VOLUME_BYTES} \
         --csi.stagingdir={MOUNTS}/staging --csi.mountdir={MOUNTS}/mount"
    )
}
