//! A node with persistent memory: a virtual machine with a real kubelet.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use kube::Client;
use placement::Bytes;

use super::collect;
use super::node::{self, ClusterNode, NodePaths};
use super::pki::{Pki, Subject};
use crate::harness::cache::{Key, cached};
use crate::harness::guest::{self, Guest};
use crate::harness::images::{Image, Images, unpacked};
use crate::harness::logs;
use crate::harness::progress::step;
use crate::harness::sandbox::{GATEWAY, Sandbox};
use crate::harness::tools::{Tool, Tools};
use crate::harness::vm::{Disk, Machine, Network, Nvdimm, Vm};

/// Name of the PMEM node.
pub(crate) const NAME: &str = "pmem-1";
const TAP: &str = "pmem-1";
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 11);
const PODS: &str = "10.78.1.0/24";
/// On NUMA node 1, beside the two that every machine has. `node-setup` writes no labels to it.
const UNPREPARED: Nvdimm = Nvdimm::labelled(Bytes::mib(128), 1);
const MAC: &str = "52:54:00:77:00:11";
/// The disk that `node-setup` mounts for containerd: with the images in it.
const CONTAINERD: &str = "containerd";
/// Where the guest mounts the disk with the files of this run.
const FILES: &str = "/mnt/files";
/// A set-up that failed shows at once, not as a silence of minutes.
const CONTAINERD_IS_UP: &str = "until systemctl is-active --quiet containerd; do
    if systemctl is-failed --quiet daxfit-node; then journalctl --no-pager --unit daxfit-node >&2; exit 1; fi
    sleep 0.5
done";

/// A running virtual machine that is a node of the cluster.
pub(crate) struct VmNode {
    vm: Vm,
    client: Client,
}

/// A PMEM node that is not running.
pub(crate) struct VmNodePlan {
    machine: Machine,
    guest: Guest,
    folder: PathBuf,
    client: Client,
}

impl VmNodePlan {
    /// Makes all that the machine needs: its tap device, its disks, its identity and its Node object.
    pub(crate) async fn prepare(
        sandbox: Arc<Sandbox>,
        guest: &Guest,
        tools: &Tools,
        images: &Images,
        pki: &Pki,
        client: Client,
        folder: &Path,
    ) -> Result<Self> {
        sandbox.add_tap(TAP).await?;
        sandbox.add_pod_route(PODS, ADDRESS).await?;
        let images: Vec<&Image> = images.of_pmem_node().collect();
        let mut machine = Machine::node(NAME);
        machine.nvdimms.push(UNPREPARED);
        machine.disks = vec![
            tools_disk(tools).await?,
            Disk {
                name: CONTAINERD.to_owned(),
                image: unpacked::disk(&images, tools).await?,
                scratch: true,
            },
            files_disk(pki, folder).await?,
        ];
        machine.network = Some(Network {
            namespace: sandbox.network(),
            tap: TAP.to_owned(),
            mac: MAC.to_owned(),
        });
        node::register(&client, &cluster_node()).await?;
        Ok(Self {
            machine,
            guest: guest.clone(),
            folder: folder.to_owned(),
            client,
        })
    }

    /// Boots the machine and waits until the node is ready.
    ///
    /// The NVDIMMs hold what an earlier machine of this plan wrote; all else starts afresh.
    pub(crate) async fn boot(&self) -> Result<VmNode> {
        let console = self.folder.join("console.log");
        let boot = self.machine.boot(&self.guest, &self.folder, &console);
        let vm = step(&format!("booting {NAME}"), boot).await?;
        let mut node = VmNode {
            vm,
            client: self.client.clone(),
        };
        if let Err(error) = node.come_up().await {
            logs::keep(NAME, async |folder| collect::guest(&node.vm, folder).await).await;
            return Err(error);
        }
        Ok(node)
    }
}

impl VmNode {
    pub(crate) fn vm(&self) -> &Vm {
        &self.vm
    }

    /// Ends the machine as a power cut does.
    pub(crate) fn cut_power(self) -> Result<()> {
        self.vm.cut_power()
    }

    async fn come_up(&mut self) -> Result<()> {
        let started = async {
            self.vm
                .shell(CONTAINERD_IS_UP)
                .await
                .context("containerd did not start")
        };
        step(&format!("waiting for containerd on {NAME}"), started).await?;
        let ready = node::wait_ready(&self.client, NAME, || self.vm.check());
        step(&format!("waiting for the kubelet on {NAME}"), ready).await
    }
}

fn cluster_node() -> ClusterNode {
    let pmem = (
        "daxfit.dev.node-restriction.kubernetes.io/pmem".to_owned(),
        "true".to_owned(),
    );
    ClusterNode {
        name: NAME.to_owned(),
        pods: PODS.to_owned(),
        labels: BTreeMap::from([pmem]),
    }
}

/// The programs of Kubernetes and containerd, which differ from run to run only when their pins do.
async fn tools_disk(tools: &Tools) -> Result<Disk> {
    let mut sources = vec![
        tools.path(Tool::Kubelet),
        tools.path(Tool::Containerd),
        tools.path(Tool::Ctr),
        tools.path(Tool::CsiSanity),
    ];
    sources.push(tools.containerd_folder().join("containerd-shim-runc-v2"));
    let files = sources
        .into_iter()
        .map(|path| Ok((last_part(&path)?, path)))
        .collect::<Result<Vec<_>>>()?;
    disk("tools", &files).await
}

/// A disk with copies of files, cached by their paths, which have the keys of what they were built from.
async fn disk(name: &str, files: &[(String, PathBuf)]) -> Result<Disk> {
    let key = files
        .iter()
        .fold(Key::new(), |key, (_, path)| key.with(path.to_string_lossy().as_bytes()));
    let entry_name = format!("disk-{name}");
    let entry = cached(&entry_name, &key, async |folder| {
        let content = folder.join("content");
        fs::create_dir(&content).context("creating a folder for a disk")?;
        for (file, source) in files {
            fs::copy(source, content.join(file)).with_context(|| format!("copying {}", source.display()))?;
        }
        guest::pack(&content, &folder.join("disk.img"), Bytes::ZERO).await?;
        fs::remove_dir_all(&content).context("removing the content of a packed disk")
    });
    Ok(Disk {
        name: name.to_owned(),
        image: entry.await?.join("disk.img"),
        scratch: false,
    })
}

async fn files_disk(pki: &Pki, folder: &Path) -> Result<Disk> {
    let content = folder.join("files");
    let subject = Subject::node(NAME, ADDRESS);
    let identity = pki.issue(&subject)?;
    let at = |name: &str| format!("{FILES}/{name}");
    let paths = NodePaths {
        containerd_root: "/var/lib/containerd".to_owned(),
        cni: at("cni"),
        authority: at("ca.crt"),
        certificate: at("kubelet.crt"),
        key: at("kubelet.key"),
    };
    let arguments = format!(
        "--config={} --kubeconfig={} --hostname-override={NAME} --node-ip={ADDRESS}",
        at("kubelet.json"),
        at("kubelet.kubeconfig")
    );
    node::write_files(
        &content,
        &[
            ("ca.crt", pki.certificate().to_owned()),
            ("kubelet.crt", identity.certificate),
            ("kubelet.key", identity.key),
            ("kubelet.kubeconfig", pki.kubeconfig(GATEWAY, &subject)?),
            ("kubelet.json", node::kubelet_config(&paths).to_string()),
            ("kubelet.env", format!("KUBELET_ARGS={arguments}\n")),
            ("containerd.toml", node::containerd_config(&paths)),
            ("cni/10-pods.conflist", node::cni_config(&cluster_node()).to_string()),
            ("node.env", format!("ADDRESS={ADDRESS}\nGATEWAY={GATEWAY}\n")),
            ("node-setup", include_str!("files/node-setup").to_owned()),
        ],
    )?;
    let image = folder.join("files.img");
    guest::pack(&content, &image, Bytes::ZERO).await?;
    Ok(Disk {
        name: "files".to_owned(),
        image,
        scratch: false,
    })
}

fn last_part(path: &Path) -> Result<String> {
    let name = path
        .file_name()
        .with_context(|| format!("{} has no name", path.display()))?;
    Ok(name.to_string_lossy().into_owned())
}
