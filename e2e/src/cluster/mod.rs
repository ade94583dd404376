//! A real cluster on this machine: control plane, a native node, and a node with emulated PMEM.

mod cell;
mod control_plane;
mod explain;
pub(crate) mod hollow;
mod images;
mod install;
pub(crate) mod launch;
mod logs;
mod native_node;
mod node;
mod pki;
pub(crate) mod run_dir;
mod sanity;
mod vm_node;
pub(crate) mod wait;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::sync::Mutex;

use crate::guest::Guest;
use crate::kubectl::Kubectl;
use crate::packages;
use crate::progress::step;
use crate::tools::{Tool, Tools};
use crate::vm::Vm;
use cell::Cell;
use control_plane::{Component, ControlPlane};
use images::{BUSYBOX_IMAGE, Images};
use native_node::NativeNode;
use pki::{Pki, Subject};
use run_dir::RunDir;
use vm_node::{VmNode, VmNodePlan};

/// A running cluster; all of it is gone when this is dropped, and when the harness crashes.
pub(crate) struct Cluster {
    // In the order in which they have to end.
    vm_node: Option<VmNode>,
    vm_plan: VmNodePlan,
    _native_node: NativeNode,
    control_plane: Mutex<ControlPlane>,
    kubeconfig: PathBuf,
    tools: Tools,
    images: Images,
    cell: Arc<Cell>,
    run: RunDir,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Builds what is not cached, and starts a control plane, a native node and a PMEM node.
    ///
    /// # Errors
    /// Something is missing on this machine, or a part does not come up; the error has the end of its log.
    pub(crate) async fn start() -> Result<Self> {
        packages::ensure_all().await?;
        let tools = Tools::ready().await?;
        let guest = Guest::ready().await?;
        let images = Images::ready(&tools).await?;
        Box::pin(Self::start_with(tools, &guest, images)).await
    }

    async fn start_with(tools: Tools, guest: &Guest, images: Images) -> Result<Self> {
        let run = RunDir::create(&crate::cache::folder()?.join("runs"))?;
        let cell = Arc::new(Cell::create().await?);
        let pki = Pki::create(&run.folder("pki")?)?;
        let folder = run.folder("control-plane")?;
        let starting = ControlPlane::start(Arc::clone(&cell), &tools, &pki, &folder);
        let control_plane = step("starting the control plane", starting).await?;
        let kubeconfig = pki.kubeconfig_file("admin", cell.address_from_host(), &Subject::admin())?;
        let client = client(&kubeconfig).await?;
        let folder = run.folder(vm_node::NAME)?;
        let plan = VmNodePlan::prepare(Arc::clone(&cell), guest, &tools, &images, &pki, client.clone(), &folder);
        let vm_plan = plan.await?;
        let native = NativeNode::start(Arc::clone(&cell), &tools, &pki, &run, client.clone());
        let (native_node, vm_node) = tokio::try_join!(ready_native(native, &images), vm_plan.boot())?;
        Ok(Self {
            vm_node: Some(vm_node),
            vm_plan,
            _native_node: native_node,
            control_plane: Mutex::new(control_plane),
            kubeconfig,
            tools,
            images,
            cell,
            run,
        })
    }

    /// Installs Daxfit as a user does, waits until all its parts are up, and connects the scheduler to the extender.
    ///
    /// # Errors
    /// kubectl fails, or a part does not come up.
    pub(crate) async fn install(&self) -> Result<()> {
        install::install(&self.kubectl(), self.images.all(), &self.run.folder("overlay")?).await?;
        let config = install::scheduler_config()?;
        self.control_plane.lock().await.restart_scheduler(config).await
    }

    /// The cluster as an administrator works with it.
    pub(crate) fn kubectl(&self) -> Kubectl {
        Kubectl::new(self.tools.path(Tool::Kubectl), self.kubeconfig.clone())
    }

    /// An administrator's kubeconfig, which works from anywhere on this machine.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// An image that all nodes have, with a shell and the usual small tools.
    #[expect(
        clippy::unused_self,
        reason = "which image that is may come to depend on the cluster"
    )]
    pub(crate) fn workload_image(&self) -> &str {
        BUSYBOX_IMAGE
    }

    /// What a script prints on the PMEM node, as root.
    ///
    /// # Errors
    /// It fails there, or the node is off.
    pub(crate) async fn on_node(&self, script: &str) -> Result<String> {
        self.vm()?.shell(script).await
    }

    /// The machine of the PMEM node.
    ///
    /// # Errors
    /// Its power was cut and not restored.
    pub(crate) fn vm(&self) -> Result<&Vm> {
        Ok(self.vm_node.as_ref().context("the PMEM node is off")?.vm())
    }

    /// Cuts the PMEM node's power and boots it again. What was written to its NVDIMMs is there; all else starts afresh.
    ///
    /// # Errors
    /// It does not come up again.
    pub(crate) async fn power_cycle(&mut self) -> Result<()> {
        if let Some(node) = self.vm_node.take() {
            node.cut_power()?;
        }
        self.vm_node = Some(self.vm_plan.boot().await?);
        Ok(())
    }

    /// Kills the API server and waits until it is ready again.
    ///
    /// # Errors
    /// It does not come up.
    pub(crate) async fn restart_apiserver(&self) -> Result<()> {
        self.control_plane.lock().await.restart(Component::ApiServer).await
    }

    /// Runs csi-sanity on the PMEM node and returns its report.
    ///
    /// # Errors
    /// It cannot be run. Failed tests are in the report.
    pub(crate) async fn csi_sanity(&self) -> Result<String> {
        sanity::report(&self.kubectl(), self.vm()?).await
    }

    /// Saves objects and logs of all parts in a folder that outlives the run, and says where.
    ///
    /// # Errors
    /// They cannot be written.
    pub(crate) async fn collect_logs(&self, name: &str) -> Result<()> {
        let folder = logs::folder(name)?;
        for part in ["control-plane", native_node::FOLDER] {
            logs::save_processes(&self.run.folder(part)?, &folder)?;
        }
        logs::save_objects(&self.kubectl(), &folder).await?;
        if let Some(node) = &self.vm_node {
            logs::save_guest(node.vm(), &folder).await?;
        }
        eprintln!("  logs are in {}", folder.display());
        Ok(())
    }
}

async fn ready_native(starting: impl Future<Output = Result<NativeNode>>, images: &Images) -> Result<NativeNode> {
    step("starting the native node", async {
        let mut node = starting.await?;
        for image in images.all() {
            node.import(&image.archive).await?;
        }
        node.start_kubelet().await?;
        Ok(node)
    })
    .await
}

async fn client(kubeconfig: &Path) -> Result<Client> {
    let read = Kubeconfig::read_from(kubeconfig).context("reading the kubeconfig")?;
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}
