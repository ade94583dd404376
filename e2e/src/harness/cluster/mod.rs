//! A real cluster on this machine: control plane, a native node, and a node with emulated PMEM.

mod collect;
pub(crate) mod control_plane;
mod csi_sanity;
mod explain;
pub(crate) mod install;
mod native_node;
mod node;
pub(crate) mod part;
pub(crate) mod pki;
mod vm_node;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::sync::Mutex;

use super::api_proxy::ApiProxy;
use super::guest::Guest;
use super::images::{BUSYBOX_IMAGE, Images};
use super::kubectl::Kubectl;
use super::progress::step;
use super::run_dir::RunDir;
use super::sandbox::{Inside, Sandbox};
use super::tools::{Tool, Tools};
use super::vm::Vm;
use super::{cache, client, logs, packages};
use control_plane::{Component, ControlPlane};
use install::{ApiAccess, Removal};
use native_node::NativeNode;
use part::{Part, Signal};
use pki::{Pki, Subject};
use vm_node::{VmNode, VmNodePlan};

/// The control plane's folder in that of the run.
const CONTROL_PLANE: &str = "control-plane";

/// The folder of the overlay that is installed, in that of the run.
const OVERLAY: &str = "overlay";
/// The overlay of the second scheduler, in the folder of the run.
const SECOND_SCHEDULER: &str = "second-scheduler";

/// A running cluster; all of it is gone when this is dropped, and when the harness crashes.
pub(crate) struct Cluster {
    // In the order in which they have to end.
    parts: Parts,
    tools: Tools,
    images: Images,
    run: RunDir,
}

/// What runs, in the order in which it has to end.
struct Parts {
    vm_node: Option<VmNode>,
    vm_plan: VmNodePlan,
    _native_node: NativeNode,
    control_plane: Mutex<ControlPlane>,
    kubeconfig: PathBuf,
    proxy: ApiProxy,
    sandbox: Arc<Sandbox>,
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
    /// If a part does not come up, the error has the end of its log, and all logs are kept.
    pub(crate) async fn start() -> Result<Self> {
        packages::ensure_all().await?;
        let tools = Tools::ready().await?;
        let guest = Guest::ready().await?;
        let images = Images::ready(&tools).await?;
        let run = RunDir::create(&cache::folder()?.join("runs"))?;
        match Box::pin(Parts::start(&tools, &guest, &images, &run)).await {
            Ok(parts) => Ok(Self {
                parts,
                tools,
                images,
                run,
            }),
            Err(error) => {
                logs::keep("start", async |folder| copy_logs(&run, folder)).await;
                Err(error)
            }
        }
    }

    /// Installs Daxfit as a user does, waits until all its parts are up, and connects the scheduler to the extender.
    pub(crate) async fn install(&self) -> Result<()> {
        self.install_with(ApiAccess::Direct).await?;
        let config = install::scheduler_config()?;
        self.parts.control_plane.lock().await.restart_scheduler(config).await
    }

    /// Has our programs reach the API server through [`Cluster::proxy`] from now on, and waits until they do.
    pub(crate) async fn put_behind_proxy(&self) -> Result<()> {
        self.install_with(ApiAccess::Proxy).await
    }

    async fn install_with(&self, access: ApiAccess) -> Result<()> {
        let folder = self.run.folder(OVERLAY)?;
        install::install(&self.kubectl(), self.images.all(), access, &folder).await
    }

    /// Installs the second scheduler beside the first.
    pub(crate) async fn install_second_scheduler(&self) -> Result<()> {
        let folder = self.run.folder(SECOND_SCHEDULER)?;
        install::install_second_scheduler(&self.kubectl(), self.images.all(), &folder).await
    }

    /// Removes it.
    pub(crate) async fn remove_second_scheduler(&self) -> Result<()> {
        let folder = self.run.folder(SECOND_SCHEDULER)?;
        install::remove(&self.kubectl(), Removal::Programs, &folder).await
    }

    /// What our programs see of the API server, once they are behind it.
    pub(crate) fn proxy(&self) -> &ApiProxy {
        &self.parts.proxy
    }

    /// Kills the processes of a program. The kubelet starts it again.
    pub(crate) async fn kill(&self, part: Part) -> Result<()> {
        self.signal(part, Signal::Kill).await
    }

    /// Sends a signal to the processes of a program.
    pub(crate) async fn signal(&self, part: Part, signal: Signal) -> Result<()> {
        let command = part.signal_command(signal);
        match part {
            Part::NodeDriver => self.on_node(&command).await.map(drop),
            Part::Operator | Part::Extender => self.parts.sandbox.run(Inside::All, &["sh", "-c", &command]).await,
        }
    }

    /// Removes Daxfit as docs/install.md says.
    pub(crate) async fn remove(&self, removal: Removal) -> Result<()> {
        install::remove(&self.kubectl(), removal, &self.run.folder(OVERLAY)?).await
    }

    /// The cluster as an administrator works with it.
    pub(crate) fn kubectl(&self) -> Kubectl {
        Kubectl::new(self.tools.path(Tool::Kubectl), self.parts.kubeconfig.clone())
    }

    /// An administrator's kubeconfig, which works from anywhere on this machine.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.parts.kubeconfig
    }

    /// An image that all nodes have, with a shell and the usual small tools.
    pub(crate) const WORKLOAD_IMAGE: &str = BUSYBOX_IMAGE;

    /// What a script prints on the PMEM node, as root.
    pub(crate) async fn on_node(&self, script: &str) -> Result<String> {
        self.vm()?.shell(script).await
    }

    /// Cuts the PMEM node's power and boots it again. What was written to its NVDIMMs is there; all else starts afresh.
    pub(crate) async fn power_cycle(&mut self) -> Result<()> {
        if let Some(node) = self.parts.vm_node.take() {
            node.cut_power()?;
        }
        self.parts.vm_node = Some(self.parts.vm_plan.boot().await?);
        Ok(())
    }

    /// Kills the API server, starts it again and waits until it is ready.
    pub(crate) async fn restart_apiserver(&self) -> Result<()> {
        let mut control_plane = self.parts.control_plane.lock().await;
        control_plane.restart(Component::ApiServer).await
    }

    /// Runs csi-sanity on the PMEM node and returns its report. Failed tests are in the report, and no error.
    pub(crate) async fn csi_sanity(&self) -> Result<String> {
        csi_sanity::report(&self.kubectl(), self.vm()?).await
    }

    /// What the extender answers about a pod in the namespace "default", as in docs/scheduling.md, "Why not this node?".
    pub(crate) async fn explain(&self, pod: &str) -> Result<Value> {
        explain::explain(&self.parts.sandbox, pod).await
    }

    /// Saves objects and logs of all parts in a folder that outlives the run, and prints where it is.
    pub(crate) async fn keep_logs(&self, name: &str) {
        logs::keep(name, async |folder| {
            copy_logs(&self.run, folder)?;
            collect::objects(&self.kubectl(), folder).await?;
            match &self.parts.vm_node {
                Some(node) => collect::guest(node.vm(), folder).await,
                None => Ok(()),
            }
        })
        .await;
    }

    fn vm(&self) -> Result<&Vm> {
        let node = self.parts.vm_node.as_ref();
        Ok(node.context("the PMEM node is off: its power was cut")?.vm())
    }
}

impl Parts {
    async fn start(tools: &Tools, guest: &Guest, images: &Images, run: &RunDir) -> Result<Self> {
        let sandbox = Arc::new(Sandbox::create().await?);
        let pki = Pki::create(&run.folder("pki")?)?;
        let folder = run.folder(CONTROL_PLANE)?;
        let starting = ControlPlane::start(Arc::clone(&sandbox), tools, &pki, &folder, Vec::new());
        let control_plane = step("starting the control plane", starting).await?;
        let kubeconfig = pki.kubeconfig_file("admin", sandbox.address_from_host(), &Subject::admin())?;
        let client = client::of_kubeconfig(&kubeconfig).await?;
        let proxy = ApiProxy::start(&sandbox, &pki).await?;
        let folder = run.folder(vm_node::NAME)?;
        let plan = VmNodePlan::prepare(
            Arc::clone(&sandbox),
            guest,
            tools,
            images,
            &pki,
            client.clone(),
            &folder,
        );
        let vm_plan = plan.await?;
        let native = NativeNode::start(Arc::clone(&sandbox), tools, images, &pki, run, client);
        let native = step("starting the native node", native);
        let (native_node, vm_node) = tokio::try_join!(native, vm_plan.boot())?;
        Ok(Self {
            vm_node: Some(vm_node),
            vm_plan,
            _native_node: native_node,
            control_plane: Mutex::new(control_plane),
            kubeconfig,
            proxy,
            sandbox,
        })
    }
}

/// The logs of what runs on this machine.
fn copy_logs(run: &RunDir, folder: &Path) -> Result<()> {
    for part in [CONTROL_PLANE, native_node::FOLDER, vm_node::NAME] {
        logs::copy(&run.folder(part)?, folder)?;
    }
    Ok(())
}
