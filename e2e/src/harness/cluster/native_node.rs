//! A node that is this machine: kubelet and containerd inside the run's namespaces, for pods that need no PMEM.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use kube::Client;
use serde_json::json;

use super::node::{self, ClusterNode, NodePaths};
use super::pki::{Pki, Subject};
use crate::harness::client;
use crate::harness::containerd::Containerd;
use crate::harness::daemon::Daemon;
use crate::harness::images::Images;
use crate::harness::run_dir::RunDir;
use crate::harness::sandbox::{GATEWAY, Inside, Sandbox};
use crate::harness::tools::{Tool, Tools};
use crate::harness::wait::{HANG_LIMIT, Probe, until};

/// Name of the native node.
const NAME: &str = "control-plane";
/// Its folder in that of the run.
pub(crate) const FOLDER: &str = "native-node";
/// Folders of the run, and where kubelet, CNI plugins, hostPath volumes of our manifests and the scheduler expect them.
const FOLDERS: [(&str, &str); 4] = [
    ("kubelet", "/var/lib/kubelet"),
    ("cni", "/var/lib/cni"),
    ("log", "/var/log"),
    ("kubernetes", "/etc/kubernetes"),
];

/// kubelet and containerd on the host, inside a [`Sandbox`].
pub(crate) struct NativeNode {
    // In the order in which they have to end.
    _kubelet: Daemon,
    _containerd: Containerd,
}

impl NativeNode {
    /// Starts containerd with all images and the kubelet, registers the Node and waits until it is ready.
    pub(crate) async fn start(
        sandbox: Arc<Sandbox>,
        tools: &Tools,
        images: &Images,
        pki: &Pki,
        run: &RunDir,
        client: Client,
    ) -> Result<Self> {
        let folder = run.folder(FOLDER)?;
        show_folders(&sandbox, &folder).await?;
        write_files(&folder, pki, &run.cgroup())?;
        let containerd = Containerd::with_images(
            Arc::clone(&sandbox),
            tools,
            &folder.join("etc/containerd.toml"),
            &folder.join("containerd.log"),
            images.all().map(|image| image.archive.as_path()),
        )
        .await?;
        node::register(&client, &cluster_node()).await?;
        let mut kubelet = spawn_kubelet(&sandbox, tools, &folder)?;
        wait_for_kubelet(&sandbox, &mut kubelet).await?;
        node::wait_ready(&client, NAME, || kubelet.check()).await?;
        Ok(Self {
            _kubelet: kubelet,
            _containerd: containerd,
        })
    }
}

async fn wait_for_kubelet(sandbox: &Sandbox, kubelet: &mut Daemon) -> Result<()> {
    let url = format!("http://{}:{}", sandbox.address_from_host(), node::HEALTH_PORT);
    let client = client::anonymous(&url, None)?;
    until("the kubelet to be healthy", HANG_LIMIT, async || {
        match kubelet.check() {
            Err(error) => Probe::Never(error),
            Ok(()) => client::get(&client, "/healthz").await.map(drop).into(),
        }
    })
    .await
}

fn spawn_kubelet(sandbox: &Sandbox, tools: &Tools, folder: &Path) -> Result<Daemon> {
    let etc = folder.join("etc");
    let mut command = sandbox.command(Inside::All, tools.path(Tool::Kubelet));
    command
        .arg(format!("--config={}", etc.join("kubelet.json").display()))
        .arg(format!("--kubeconfig={}", etc.join("kubelet.kubeconfig").display()))
        .arg(format!("--hostname-override={NAME}"))
        .arg(format!("--node-ip={GATEWAY}"));
    Daemon::spawn_entering("kubelet", command, &folder.join("kubelet.log"))
}

fn cluster_node() -> ClusterNode {
    let role = ("node-role.kubernetes.io/control-plane".to_owned(), String::new());
    ClusterNode {
        name: NAME.to_owned(),
        pods: "10.78.0.0/24".to_owned(),
        labels: BTreeMap::from([role]),
    }
}

async fn show_folders(sandbox: &Sandbox, folder: &Path) -> Result<()> {
    for (name, path) in FOLDERS {
        let source = folder.join(name);
        fs::create_dir_all(&source)?;
        sandbox.bind(&source.to_string_lossy(), path).await?;
    }
    Ok(())
}

fn write_files(folder: &Path, pki: &Pki, cgroup: &str) -> Result<()> {
    let etc = folder.join("etc");
    let subject = Subject::node(NAME, GATEWAY);
    let identity = pki.issue(&subject)?;
    let path = |name: &str| etc.join(name).to_string_lossy().into_owned();
    let paths = NodePaths {
        containerd_root: folder.join("containerd").to_string_lossy().into_owned(),
        cni: path("cni"),
        authority: path("ca.crt"),
        certificate: path("kubelet.crt"),
        key: path("kubelet.key"),
    };
    let files = [
        ("ca.crt", pki.certificate().to_owned()),
        ("kubelet.crt", identity.certificate),
        ("kubelet.key", identity.key),
        ("kubelet.kubeconfig", pki.kubeconfig(GATEWAY, &subject)?),
        ("kubelet.json", kubelet_config(&paths, cgroup).to_string()),
        ("containerd.toml", node::containerd_config(&paths)),
        ("cni/10-pods.conflist", node::cni_config(&cluster_node()).to_string()),
    ];
    node::write_files(&etc, &files)
}

/// The host's cgroups may be of version 1 and not ours to divide: the kubelet only gets one subtree for its containers.
fn kubelet_config(paths: &NodePaths, cgroup: &str) -> serde_json::Value {
    let mut config = node::kubelet_config(paths);
    config["failCgroupV1"] = json!(false);
    config["cgroupRoot"] = json!(cgroup);
    config["cgroupsPerQOS"] = json!(false);
    config["enforceNodeAllocatable"] = json!([]);
    config["localStorageCapacityIsolation"] = json!(false);
    config
}
