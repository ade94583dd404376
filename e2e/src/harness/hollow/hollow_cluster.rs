//! The control plane of a hollow cluster, and its life: start, measure, logs, end.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use kube::Client;
use serde_json::{Value, json};

use super::config::Limits;
use super::manifests::Manifests;
use super::part::{self, Part};
use crate::harness::cluster::control_plane::{Component, ControlPlane, SCHEDULER_CONFIG, SchedulerGate};
use crate::harness::cluster::install;
use crate::harness::cluster::pki::{Pki, Subject};
use crate::harness::daemon::Daemon;
use crate::harness::kubectl::Kubectl;
use crate::harness::programs::{self, EXTENDER, HOLLOW_NODES, OPERATOR};
use crate::harness::progress::step;
use crate::harness::run_dir::RunDir;
use crate::harness::sandbox::{GATEWAY, Sandbox};
use crate::harness::tools::{Tool, Tools};
use crate::harness::wait::{HANG_LIMIT, Probe, until};
use crate::harness::{cache, client, listen, logs};

/// Folders of the run.
pub(super) const PROGRAMS: &str = "programs";
pub(super) const LOGS: &str = "control-plane";
/// Set it to keep the logs of a measurement that succeeds too.
const KEEP_LOGS: &str = "DAXFIT_KEEP_LOGS";

/// The control plane, and whatever was started beside it. All of it is gone when this is dropped.
pub(crate) struct HollowCluster {
    // In the order in which they have to end.
    pub(super) parts: BTreeMap<Part, Daemon>,
    pub(super) control_plane: ControlPlane,
    pub(super) client: Client,
    pub(super) kubeconfig: PathBuf,
    pub(super) manifests: Manifests,
    pub(super) limits: Limits,
    pub(super) pki: Pki,
    pub(super) tools: Tools,
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) run: Arc<RunDir>,
}

impl HollowCluster {
    /// Starts a hollow cluster, lets `work` measure in it, and takes it down. If anything fails, the logs of all
    /// processes are kept under `name`.
    pub(crate) async fn measure<T>(
        name: &str,
        limits: Limits,
        work: impl AsyncFnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let run = Arc::new(RunDir::create(&cache::folder()?.join("runs"))?);
        let measured = async {
            let mut cluster = Box::pin(Self::start(limits, Arc::clone(&run))).await?;
            work(&mut cluster).await
        };
        let outcome = measured.await;
        if outcome.is_err() || std::env::var_os(KEEP_LOGS).is_some() {
            logs::keep(name, async |folder| logs::copy(&run.folder(LOGS)?, folder)).await;
        }
        outcome
    }

    /// Starts a control plane and applies the manifests, except what would run as pods.
    async fn start(limits: Limits, run: Arc<RunDir>) -> Result<Self> {
        let tools = Tools::ready().await?;
        programs::build_into(&run.folder(PROGRAMS)?, &[OPERATOR, EXTENDER, HOLLOW_NODES]).await?;
        let sandbox = Arc::new(Sandbox::create().await?);
        let pki = Pki::create(&run.folder("pki")?)?;
        let flags = limits.controller_flags();
        let folder = run.folder(LOGS)?;
        let starting = ControlPlane::start(Arc::clone(&sandbox), &tools, &pki, &folder, flags);
        let control_plane = step("starting the control plane", starting).await?;
        let kubeconfig = pki.kubeconfig_file("admin", sandbox.address_from_host(), &Subject::admin())?;
        let kubectl = Kubectl::new(tools.path(Tool::Kubectl), kubeconfig.clone());
        let manifests = Manifests::read(&kubectl).await?;
        kubectl.apply(&manifests.without_pods()).await?;
        install::crds_are_served(&kubectl).await?;
        Ok(Self {
            parts: BTreeMap::new(),
            control_plane,
            client: client::of_kubeconfig(&kubeconfig).await?,
            kubeconfig,
            manifests,
            limits,
            pki,
            tools,
            sandbox,
            run,
        })
    }

    /// The cluster with the rights of an administrator.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Starts the scheduler anew with these limits, connected to the extender or not. To connect it, start the extender
    /// first: it makes the certificates.
    pub(crate) async fn restart_scheduler(&mut self, limits: Limits, extender: bool) -> Result<()> {
        let certificates = extender.then(|| self.certificates()).transpose()?;
        let config = limits.scheduler_config(install::scheduler_config()?, certificates.as_deref());
        self.control_plane.restart_scheduler(config).await
    }

    /// Starts the scheduler anew, connected to the extender, as schedulers before 1.35 are: no pod names a node before it is bound.
    pub(crate) async fn restart_scheduler_without_expectations(&mut self) -> Result<()> {
        let config = self.config_with(&self.certificates()?)?;
        let gate = SchedulerGate::NoExpectations;
        self.control_plane.restart_scheduler_with_gate(config, gate).await
    }

    /// Starts the scheduler anew without an extender; it prefers nodes by how full they are, as `shape` says.
    pub(crate) async fn restart_scheduler_scoring(&mut self, shape: &Value) -> Result<()> {
        let mut config = self.limits.scheduler_config(install::scheduler_config()?, None);
        let arguments = json!({ "kind": "VolumeBindingArgs", "apiVersion": SCHEDULER_CONFIG, "shape": shape });
        config["profiles"] = json!([{ "pluginConfig": [{ "name": "VolumeBinding", "args": arguments }] }]);
        let gate = SchedulerGate::StorageCapacityScoring;
        self.control_plane.restart_scheduler_with_gate(config, gate).await
    }

    /// Starts the scheduler anew, connected to the extender. It asks about all nodes that will do, not only about the first of them.
    pub(crate) async fn restart_scheduler_over_all_nodes(&mut self) -> Result<()> {
        let mut config = self.config_with(&self.certificates()?)?;
        config["percentageOfNodesToScore"] = json!(100);
        self.control_plane.restart_scheduler(config).await
    }

    /// Starts the scheduler anew, connected to the extender and, after it, to another one.
    pub(crate) async fn restart_scheduler_with(&mut self, another: Value) -> Result<()> {
        let mut config = self.config_with(&self.certificates()?)?;
        config["extenders"]
            .as_array_mut()
            .context("no extenders")?
            .push(another);
        self.control_plane.restart_scheduler(config).await
    }

    /// Starts API server and scheduler anew so that they know gangs.
    pub(crate) async fn restart_with_gangs(&mut self) -> Result<()> {
        self.control_plane.restart_with_gangs().await
    }

    /// A listener where the scheduler reaches it.
    pub(crate) fn listen(&self, port: u16) -> Result<TcpListener> {
        listen::inside(&self.sandbox, SocketAddr::from((GATEWAY, port)))
    }

    /// Kills the scheduler, which has to run.
    pub(crate) fn stop_scheduler(&mut self) -> Result<()> {
        self.control_plane.kill(Component::Scheduler)
    }

    /// Waits until `check` succeeds, and returns what it found.
    pub(crate) async fn wait_for<T>(&mut self, what: &str, check: impl AsyncFn(&Client) -> Result<T>) -> Result<T> {
        let client = self.client();
        until(what, HANG_LIMIT, async || match self.check() {
            Err(error) => Probe::Never(error),
            Ok(()) => match check(&client).await {
                Ok(found) => Probe::Ready(found),
                Err(error) => Probe::NotYet(error),
            },
        })
        .await
    }

    /// Fails when a process has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.control_plane.check()?;
        self.parts.values_mut().try_for_each(Daemon::check)
    }

    /// The scheduler's configuration, connected to an extender by its certificates.
    pub(super) fn config_with(&self, certificates: &Path) -> Result<Value> {
        Ok(self
            .limits
            .scheduler_config(install::scheduler_config()?, Some(certificates)))
    }

    /// The folder in which the extender puts its certificates.
    pub(super) fn certificates(&self) -> Result<PathBuf> {
        self.run.folder(part::EXTENDER.certificates)
    }
}
