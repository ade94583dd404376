//! A node that is this machine: kubelet and containerd inside the run's namespaces, for pods that need no PMEM.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use kube::{Client, Config};
use serde_json::json;

use super::cell::{Cell, GATEWAY, Inside};
use super::launch::Daemon;
use super::node::{self, CONTAINERD_SOCKET, Member, Places};
use super::pki::{Pki, Subject};
use super::run_dir::RunDir;
use super::wait::{Probe, get, until};
use crate::command::run;
use crate::tools::{Tool, Tools};

/// Name of the native node.
pub(crate) const NAME: &str = "control-plane";
/// Its folder in that of the run.
pub(crate) const FOLDER: &str = "native-node";
/// Folders of the run, and where kubelet, CNI plugins, hostPath volumes of our manifests and the scheduler expect them.
const PLACES: [(&str, &str); 4] = [
    ("kubelet", "/var/lib/kubelet"),
    ("cni", "/var/lib/cni"),
    ("log", "/var/log"),
    ("kubernetes", "/etc/kubernetes"),
];
const HEALTHY_WITHIN: Duration = Duration::from_secs(120);

/// kubelet and containerd on the host, inside a [`Cell`].
pub(crate) struct NativeNode {
    cell: Arc<Cell>,
    tools: Tools,
    folder: PathBuf,
    client: Client,
    containerd: Daemon,
    kubelet: Option<Daemon>,
}

impl NativeNode {
    /// Starts containerd, with nothing in it; the kubelet follows with [`Self::start_kubelet`].
    pub(crate) async fn start(cell: Arc<Cell>, tools: &Tools, pki: &Pki, run: &RunDir, client: Client) -> Result<Self> {
        let folder = run.folder(FOLDER)?;
        show_folders(&cell, &folder).await?;
        write_files(&folder, pki, &run.cgroup())?;
        let containerd = spawn_containerd(&cell, tools, &folder)?;
        let mut node = Self {
            cell,
            tools: tools.clone(),
            folder,
            client,
            containerd,
            kubelet: None,
        };
        node.wait_for_containerd().await?;
        Ok(node)
    }

    /// Registers the Node, starts the kubelet and waits until the node is ready.
    pub(crate) async fn start_kubelet(&mut self) -> Result<()> {
        node::register(&self.client, &member()).await?;
        let mut kubelet = self.spawn_kubelet()?;
        self.wait_for_kubelet(&mut kubelet).await?;
        node::wait_ready(&self.client, NAME, || kubelet.check()).await?;
        self.kubelet = Some(kubelet);
        Ok(())
    }

    /// Puts the images of an archive into containerd.
    pub(crate) async fn import(&self, archive: &Path) -> Result<()> {
        let mut command = self.ctr(&["--namespace", "k8s.io", "images", "import"]);
        command.arg(archive);
        run(command).await
    }

    async fn wait_for_containerd(&mut self) -> Result<()> {
        until("containerd to answer", HEALTHY_WITHIN, async || {
            match self.containerd.check() {
                Err(error) => Probe::Never(error),
                Ok(()) => run(self.ctr(&["version"])).await.into(),
            }
        })
        .await
    }

    async fn wait_for_kubelet(&self, kubelet: &mut Daemon) -> Result<()> {
        let url = format!("http://{}:{}", self.cell.address_from_host(), node::HEALTH_PORT);
        let client = Client::try_from(Config::new(url.parse()?))?;
        until("the kubelet to be healthy", HEALTHY_WITHIN, async || {
            match kubelet.check() {
                Err(error) => Probe::Never(error),
                Ok(()) => get(&client, "/healthz").await.into(),
            }
        })
        .await
    }

    fn ctr(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = self.cell.command(Inside::Mounts, self.tools.path(Tool::Ctr));
        command.args(["--address", CONTAINERD_SOCKET]).args(arguments);
        command.into()
    }

    fn spawn_kubelet(&self) -> Result<Daemon> {
        let etc = self.folder.join("etc");
        let mut command = self.cell.command(Inside::All, self.tools.path(Tool::Kubelet));
        command
            .arg(format!("--config={}", etc.join("kubelet.json").display()))
            .arg(format!("--kubeconfig={}", etc.join("kubelet.kubeconfig").display()))
            .arg(format!("--hostname-override={NAME}"))
            .arg(format!("--node-ip={GATEWAY}"));
        Daemon::spawn_entering("kubelet", command, &self.folder.join("kubelet.log"))
    }
}

fn member() -> Member {
    let role = ("node-role.kubernetes.io/control-plane".to_owned(), String::new());
    Member {
        name: NAME.to_owned(),
        pods: "10.78.0.0/24".to_owned(),
        labels: BTreeMap::from([role]),
    }
}

/// Folders at the paths where kubelet, CNI plugins and hostPath volumes of our own manifests expect them.
async fn show_folders(cell: &Cell, folder: &Path) -> Result<()> {
    for (name, place) in PLACES {
        let source = folder.join(name);
        fs::create_dir_all(&source)?;
        cell.bind(&source.to_string_lossy(), place).await?;
    }
    Ok(())
}

fn write_files(folder: &Path, pki: &Pki, cgroup: &str) -> Result<()> {
    let etc = folder.join("etc");
    let subject = Subject::node(NAME, GATEWAY);
    let identity = pki.issue(&subject)?;
    let path = |name: &str| etc.join(name).to_string_lossy().into_owned();
    let places = Places {
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
        ("kubelet.json", kubelet_config(&places, cgroup).to_string()),
        ("containerd.toml", node::containerd_config(&places)),
        ("cni/10-pods.conflist", node::cni_config(&member()).to_string()),
    ];
    node::write_files(&etc, &files)
}

/// The host's cgroups may be of version 1 and not ours to divide: the kubelet only gets one subtree for its containers.
fn kubelet_config(places: &Places, cgroup: &str) -> serde_json::Value {
    let mut config = node::kubelet_config(places);
    config["failCgroupV1"] = json!(false);
    config["cgroupRoot"] = json!(cgroup);
    config["cgroupsPerQOS"] = json!(false);
    config["enforceNodeAllocatable"] = json!([]);
    config["localStorageCapacityIsolation"] = json!(false);
    config
}

fn spawn_containerd(cell: &Cell, tools: &Tools, folder: &Path) -> Result<Daemon> {
    let mut command = cell.command(Inside::All, tools.path(Tool::Containerd));
    command.arg("--config").arg(folder.join("etc/containerd.toml"));
    // Its own shim comes first: Debian's containerd package brings an old one that fails oddly.
    let own = tools.containerd_folder().display();
    command.env("PATH", format!("{own}:/usr/sbin:/usr/bin:/sbin:/bin"));
    Daemon::spawn_entering("containerd", command, &folder.join("containerd.log"))
}
