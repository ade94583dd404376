//! A real control plane with nodes that are only objects and driver code, all in one process: what it takes to measure
//! hundreds of nodes on one machine.
//!
//! etcd, API server, controller manager, scheduler and external-provisioner are the real ones; operator, extender and the
//! drivers of the nodes are ours. Each has the account that the manifests give it, except the drivers, which share one
//! connection. There is no kubelet, so pods get a node and never run.

mod config;
mod manifests;
mod metrics;
mod parts;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use kube::Client;

use super::cell::Cell;
use super::control_plane::{Component, ControlPlane};
use super::launch::Daemon;
use super::pki::{Pki, Subject};
use super::run_dir::RunDir;
use super::{client, install, logs};
use crate::kubectl::Kubectl;
use crate::programs::{self, EXTENDER, HOLLOW_NODES, OPERATOR};
use crate::progress::step;
use crate::tools::{Tool, Tools};

pub(crate) use config::Limits;
use manifests::Manifests;
pub(crate) use metrics::Samples;
pub(crate) use parts::{Nodes, Part};

/// The control plane, and whatever was started beside it. All of it is gone when this is dropped.
pub(crate) struct HollowCluster {
    // In the order in which they have to end.
    parts: BTreeMap<Part, Daemon>,
    control_plane: ControlPlane,
    client: Client,
    kubeconfig: PathBuf,
    manifests: Manifests,
    limits: Limits,
    pki: Pki,
    tools: Tools,
    cell: Arc<Cell>,
    run: RunDir,
}

impl HollowCluster {
    /// Starts a control plane and applies the manifests, except what would run as pods.
    ///
    /// # Errors
    /// Something is missing on this machine, or a part does not come up; the error has the end of its log.
    pub(crate) async fn start(limits: Limits) -> Result<Self> {
        let tools = Tools::ready().await?;
        let run = RunDir::create(&crate::cache::folder()?.join("runs"))?;
        programs::build_into(&run.folder(PROGRAMS)?, &[OPERATOR, EXTENDER, HOLLOW_NODES]).await?;
        let cell = Arc::new(Cell::create().await?);
        let pki = Pki::create(&run.folder("pki")?)?;
        let flags = limits.controller_flags();
        let folder = run.folder(LOGS)?;
        let starting = ControlPlane::start_with(Arc::clone(&cell), &tools, &pki, &folder, flags);
        let control_plane = step("starting the control plane", starting).await?;
        let kubeconfig = pki.kubeconfig_file("admin", cell.address_from_host(), &Subject::admin())?;
        let kubectl = Kubectl::new(tools.path(Tool::Kubectl), kubeconfig.clone());
        let manifests = Manifests::read(&kubectl).await?;
        kubectl.apply(&manifests.without_pods()).await?;
        for crd in install::CRDS {
            kubectl.run(&["wait", "--for=condition=Established", crd]).await?;
        }
        Ok(Self {
            parts: BTreeMap::new(),
            control_plane,
            client: client(&kubeconfig).await?,
            kubeconfig,
            manifests,
            limits,
            pki,
            tools,
            cell,
            run,
        })
    }

    /// The cluster with the rights of an administrator.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Starts the scheduler anew with these limits, connected to the extender or not.
    ///
    /// # Errors
    /// It does not come up; without certificates of an extender that was started, it cannot be connected.
    pub(crate) async fn restart_scheduler(&mut self, limits: Limits, extender: bool) -> Result<()> {
        let certificates = extender.then(|| self.certificates()).transpose()?;
        let config = limits.scheduler_config(install::scheduler_config()?, certificates.as_deref());
        self.control_plane.restart_scheduler(config).await
    }

    /// Stops the scheduler.
    ///
    /// # Errors
    /// It does not run.
    pub(crate) fn stop_scheduler(&mut self) -> Result<()> {
        self.control_plane.kill(Component::Scheduler)
    }

    /// Fails when a process has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.control_plane.check()?;
        self.parts.values_mut().try_for_each(Daemon::check)
    }

    /// Saves the logs of all processes in a folder that outlives the run, and says where.
    ///
    /// # Errors
    /// They cannot be written.
    pub(crate) fn keep_logs(&self, name: &str) -> Result<()> {
        let folder = logs::folder(name)?;
        logs::save_processes(&self.run.folder(LOGS)?, &folder)?;
        eprintln!("  logs are in {}", folder.display());
        Ok(())
    }

    fn certificates(&self) -> Result<PathBuf> {
        self.run.folder("extender-tls")
    }
}

/// A text file.
fn text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// Folders of the run.
const PROGRAMS: &str = "programs";
const LOGS: &str = "control-plane";
