//! What the native node and the PMEM nodes have in common: the Node object and the files that kubelet, containerd and CNI read.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use k8s_openapi::api::core::v1::{Node, NodeSpec, NodeStatus};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::harness::containerd::{PAUSE_IMAGE, SOCKET};
use crate::harness::wait::{HANG_LIMIT, Probe, until};

/// Where a kubelet serves `/healthz`, over plain HTTP.
pub(crate) const HEALTH_PORT: u16 = 10248;

/// A node of the cluster.
#[derive(Debug, Clone)]
pub(crate) struct ClusterNode {
    /// Name of the Node object and of the machine.
    pub(crate) name: String,
    /// Subnet of its pods, such as `10.78.1.0/24`.
    pub(crate) pods: String,
    pub(crate) labels: BTreeMap<String, String>,
}

/// Where a node keeps the files that the configurations below name.
#[derive(Debug, Clone)]
pub(crate) struct NodePaths {
    /// containerd's images and snapshots.
    pub(crate) containerd_root: String,
    /// Folder of the CNI configuration.
    pub(crate) cni: String,
    /// Certificate of the authority.
    pub(crate) authority: String,
    /// The kubelet's serving certificate.
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// Creates the Node object. A kubelet that finds none spends 90 s in the back-off of its CSINode set-up.
pub(crate) async fn register(client: &Client, node: &ClusterNode) -> Result<()> {
    let object = Node {
        metadata: ObjectMeta {
            name: Some(node.name.clone()),
            labels: Some(node.labels.clone()),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec {
            pod_cidr: Some(node.pods.clone()),
            ..NodeSpec::default()
        }),
        ..Node::default()
    };
    let nodes: Api<Node> = Api::all(client.clone());
    let created = nodes.create(&PostParams::default(), &object).await;
    created.with_context(|| format!("creating the Node {}", node.name))?;
    Ok(())
}

/// Waits until the kubelet reports the node ready; `alive` fails when it never will.
pub(crate) async fn wait_ready(client: &Client, name: &str, mut alive: impl FnMut() -> Result<()>) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    until(&format!("node {name} to be ready"), HANG_LIMIT, async || {
        if let Err(error) = alive() {
            return Probe::Never(error);
        }
        match nodes.get_status(name).await {
            Ok(node) => readiness(&node).into(),
            Err(error) => Probe::NotYet(error.into()),
        }
    })
    .await
}

fn readiness(node: &Node) -> Result<()> {
    let conditions = node
        .status
        .as_ref()
        .and_then(|NodeStatus { conditions, .. }| conditions.as_ref());
    let ready = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition.type_ == "Ready");
    match ready {
        Some(condition) if condition.status == "True" => Ok(()),
        Some(condition) => Err(anyhow!("{}", condition.message.as_deref().unwrap_or("not ready"))),
        None => Err(anyhow!("the kubelet has not reported yet")),
    }
}

/// The kubelet's configuration: tokens and certificates are checked by the API server, nothing is evicted for lack of disk, and
/// what a test kills is soon started again.
pub(crate) fn kubelet_config(paths: &NodePaths) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": format!("unix://{SOCKET}"),
        "cgroupDriver": "cgroupfs",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": paths.authority},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": paths.certificate,
        "tlsPrivateKeyFile": paths.key,
        "crashLoopBackOff": {"maxContainerRestartPeriod": "1s"},
        "failSwapOn": false,
        "evictionHard": {},
        "imageGCHighThresholdPercent": 100,
        "healthzBindAddress": "0.0.0.0",
        "healthzPort": HEALTH_PORT,
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "resolvConf": "",
    })
}

/// containerd's configuration, version 3 (containerd 2).
pub(crate) fn containerd_config(paths: &NodePaths) -> String {
    let NodePaths {
        containerd_root, cni, ..
    } = paths;
    format!(
        r#"version = 3
root = "{containerd_root}"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "{SOCKET}"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{PAUSE_IMAGE}"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["/usr/lib/cni"]
  conf_dir = "{cni}"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    SystemdCgroup = false
"#
    )
}

/// A bridge for the node's pods, without masquerading: every node has a route to every other's pods.
pub(crate) fn cni_config(node: &ClusterNode) -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "pods",
                "isGateway": true,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": node.pods}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

/// Writes the files of a node below `folder`. All can be run: the one script among them has to be.
pub(crate) fn write_files(folder: &Path, files: &[(&str, String)]) -> Result<()> {
    for (name, text) in files {
        let path = folder.join(name);
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
            fs::write(&path, text)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700))
        };
        write().with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::NodeCondition;

    fn node_that_says(status: &str, message: &str) -> Node {
        let condition = NodeCondition {
            type_: "Ready".to_owned(),
            status: status.to_owned(),
            message: Some(message.to_owned()),
            ..NodeCondition::default()
        };
        let status = NodeStatus {
            conditions: Some(vec![condition]),
            ..NodeStatus::default()
        };
        Node {
            status: Some(status),
            ..Node::default()
        }
    }

    #[test]
    fn a_node_is_ready_when_its_kubelet_says_so() {
        assert!(readiness(&node_that_says("True", "")).is_ok());
        let error = readiness(&node_that_says("False", "cni plugin not initialized")).unwrap_err();
        assert_eq!(error.to_string(), "cni plugin not initialized");
        assert!(readiness(&Node::default()).is_err());
    }
}
