//! etcd, API server, controller manager and scheduler, each a process on the host inside the run's network.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::Client;
use serde_json::{Value, json};

use super::pki::{IdentityFiles, Pki, Subject};
use crate::harness::client;
use crate::harness::daemon::Daemon;
use crate::harness::sandbox::{API_SERVICE, GATEWAY, Inside, Sandbox};
use crate::harness::tools::{Tool, Tools};
use crate::harness::wait::{HANG_LIMIT, Probe, until};

/// Address range of Services; its first address is [`API_SERVICE`].
const SERVICES: &str = "10.96.0.0/24";
const SCHEDULER_PORT: u16 = 10259;
const CONTROLLERS_PORT: u16 = 10257;
/// The version of the scheduler's configuration.
pub(crate) const SCHEDULER_CONFIG: &str = "kubescheduler.config.k8s.io/v1";
/// What gangs need.
const GANGS: &str = "GenericWorkload=true,GangScheduling=true";
/// What is always allowed to ask the scheduler for, beside its health.
const OPEN_PATHS: &str = "/readyz,/metrics,/debug/pprof/profile";

/// A process of the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Component {
    Etcd,
    ApiServer,
    ControllerManager,
    Scheduler,
}

impl Component {
    /// The scheduler reads the extender's certificates, which its pod on the native node writes to the host.
    fn inside(self) -> Inside {
        match self {
            Self::Scheduler => Inside::Mounts,
            Self::Etcd | Self::ApiServer | Self::ControllerManager => Inside::Network,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
        }
    }
}

/// A feature gate of the scheduler that is not as 1.36 has it by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SchedulerGate {
    /// No pod names the node that was chosen for it before it is bound, as in 1.32 to 1.34.
    NoExpectations,
    /// It scores by CSIStorageCapacity (KEP-4049), as 1.37 does by default.
    StorageCapacityScoring,
}

impl SchedulerGate {
    fn setting(self) -> &'static str {
        match self {
            Self::NoExpectations => "NominatedNodeNameForExpectation=false",
            Self::StorageCapacityScoring => "StorageCapacityScoring=true",
        }
    }
}

/// The control plane of one run.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    sandbox: Arc<Sandbox>,
    tools: Tools,
    folder: PathBuf,
    files: Files,
    authority: String,
    /// Flags of the controller manager beside its usual ones.
    controller_flags: Vec<String>,
    /// Whether API server and scheduler know gangs, which are alpha.
    gangs: bool,
    scheduler_gate: Option<SchedulerGate>,
    daemons: Vec<(Component, Daemon)>,
}

/// Certificates and kubeconfigs of the components.
#[derive(Debug)]
struct Files {
    authority: IdentityFiles,
    token_key: PathBuf,
    token_public_key: PathBuf,
    server: IdentityFiles,
    /// The API server's own identity when it talks to kubelets.
    kubelet_client: IdentityFiles,
    controllers: PathBuf,
    scheduler: PathBuf,
}

impl ControlPlane {
    /// Starts all components, with their data and logs in `folder`, and waits until each is ready.
    /// `controller_flags` are added to the usual ones of the controller manager.
    pub(crate) async fn start(
        sandbox: Arc<Sandbox>,
        tools: &Tools,
        pki: &Pki,
        folder: &Path,
        controller_flags: Vec<String>,
    ) -> Result<Self> {
        let mut plane = Self {
            files: Files::create(pki, &sandbox)?,
            tools: tools.clone(),
            folder: folder.to_owned(),
            authority: pki.certificate().to_owned(),
            controller_flags,
            gangs: false,
            scheduler_gate: None,
            daemons: Vec::new(),
            sandbox,
        };
        plane.write_scheduler_config(json!({}))?;
        plane.spawn(Component::Etcd)?;
        plane.start_component(Component::ApiServer).await?;
        // They give up at once when there is no API server.
        plane.spawn(Component::ControllerManager)?;
        plane.start_component(Component::Scheduler).await?;
        plane.wait_ready(Component::ControllerManager).await?;
        Ok(plane)
    }

    /// Kills a component with SIGKILL.
    pub(crate) fn kill(&mut self, component: Component) -> Result<()> {
        let position = self.daemons.iter().position(|(running, _)| *running == component);
        let position = position.with_context(|| format!("{} is not running", component.name()))?;
        let (_, mut daemon) = self.daemons.swap_remove(position);
        daemon.kill()
    }

    /// Kills a component if it runs, starts it and waits until it is ready.
    pub(crate) async fn restart(&mut self, component: Component) -> Result<()> {
        if self.daemons.iter().any(|(running, _)| *running == component) {
            self.kill(component)?;
        }
        self.start_component(component).await
    }

    /// Restarts the scheduler with a `KubeSchedulerConfiguration`; how it reaches the API server is filled in.
    pub(crate) async fn restart_scheduler(&mut self, config: Value) -> Result<()> {
        self.write_scheduler_config(config)?;
        self.restart(Component::Scheduler).await
    }

    /// Restarts all but etcd, so that API server and scheduler know gangs (KEP-4671).
    pub(crate) async fn restart_with_gangs(&mut self) -> Result<()> {
        self.gangs = true;
        // It gives up if the API server ends while it starts itself.
        self.kill(Component::ControllerManager)?;
        self.restart(Component::ApiServer).await?;
        self.start_component(Component::ControllerManager).await?;
        self.restart(Component::Scheduler).await
    }

    /// Restarts the scheduler with this gate.
    pub(crate) async fn restart_scheduler_with_gate(&mut self, config: Value, gate: SchedulerGate) -> Result<()> {
        self.scheduler_gate = Some(gate);
        self.restart_scheduler(config).await
    }

    /// What each component has taken of the processors so far.
    pub(crate) fn processor_times(&self) -> Result<Vec<(&'static str, Duration)>> {
        let each = self.daemons.iter();
        each.map(|(component, daemon)| Ok((component.name(), daemon.processor_time()?)))
            .collect()
    }

    /// Fails when a component has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.daemons.iter_mut().try_for_each(|(_, daemon)| daemon.check())
    }

    async fn start_component(&mut self, component: Component) -> Result<()> {
        self.spawn(component)?;
        self.wait_ready(component).await
    }

    fn spawn(&mut self, component: Component) -> Result<()> {
        let (tool, arguments) = match component {
            Component::Etcd => (Tool::Etcd, self.etcd()),
            Component::ApiServer => (Tool::KubeApiserver, self.api_server()),
            Component::ControllerManager => (Tool::KubeControllerManager, self.controllers()),
            Component::Scheduler => (Tool::KubeScheduler, self.scheduler()),
        };
        let mut command = self.sandbox.command(component.inside(), self.tools.path(tool));
        command.args(arguments);
        let name = component.name();
        let daemon = Daemon::spawn(name, command, &self.folder.join(format!("{name}.log")))?;
        self.daemons.push((component, daemon));
        Ok(())
    }

    async fn wait_ready(&mut self, component: Component) -> Result<()> {
        let path = match component {
            // The API server cannot be ready without it.
            Component::Etcd => return Ok(()),
            Component::ControllerManager => "/healthz",
            Component::ApiServer | Component::Scheduler => "/readyz",
        };
        let client = self.client_of(component)?;
        let what = format!("{} to be ready", component.name());
        until(&what, HANG_LIMIT, async || match self.check() {
            Err(error) => Probe::Never(error),
            Ok(()) => client::get(&client, path).await.map(drop).into(),
        })
        .await
    }

    /// A client without credentials: health is told to all, and what kube-scheduler counts.
    pub(crate) fn client_of(&self, component: Component) -> Result<Client> {
        let port = match component {
            Component::Etcd => bail!("etcd has no health of its own"),
            Component::ApiServer => 443,
            Component::ControllerManager => CONTROLLERS_PORT,
            Component::Scheduler => SCHEDULER_PORT,
        };
        let url = format!("https://{}:{port}", self.sandbox.address_from_host());
        client::anonymous(&url, Some(&self.authority))
    }

    fn etcd(&self) -> Vec<String> {
        let data = self.folder.join("etcd");
        vec![
            flag("data-dir", data.display()),
            // The data need not survive this machine.
            "--unsafe-no-fsync".to_owned(),
            flag("listen-client-urls", "http://127.0.0.1:2379"),
            flag("advertise-client-urls", "http://127.0.0.1:2379"),
            flag("listen-peer-urls", "http://127.0.0.1:2380"),
            flag("initial-advertise-peer-urls", "http://127.0.0.1:2380"),
            flag("initial-cluster", "default=http://127.0.0.1:2380"),
        ]
    }

    fn api_server(&self) -> Vec<String> {
        let Files {
            authority,
            token_key,
            token_public_key,
            server,
            kubelet_client,
            ..
        } = &self.files;
        let own = vec![
            flag("etcd-servers", "http://127.0.0.1:2379"),
            flag("bind-address", "0.0.0.0"),
            // The port of the Service `kubernetes`, whose address is one of this machine's.
            flag("secure-port", 443),
            flag("advertise-address", GATEWAY),
            flag("service-cluster-ip-range", SERVICES),
            flag("client-ca-file", authority.certificate.display()),
            flag("tls-cert-file", server.certificate.display()),
            flag("tls-private-key-file", server.key.display()),
            flag("kubelet-certificate-authority", authority.certificate.display()),
            flag("kubelet-client-certificate", kubelet_client.certificate.display()),
            flag("kubelet-client-key", kubelet_client.key.display()),
            flag("kubelet-preferred-address-types", "InternalIP"),
            flag("service-account-issuer", "https://kubernetes.default.svc"),
            flag("service-account-key-file", token_public_key.display()),
            flag("service-account-signing-key-file", token_key.display()),
            flag("authorization-mode", "Node,RBAC"),
            flag("enable-admission-plugins", "NodeRestriction"),
            flag("allow-privileged", true),
        ];
        let gangs = [
            flag("feature-gates", GANGS),
            flag("runtime-config", "scheduling.k8s.io/v1alpha2=true"),
        ];
        own.into_iter()
            .chain(gangs.into_iter().filter(|_| self.gangs))
            .collect()
    }

    fn controllers(&self) -> Vec<String> {
        let Files {
            authority,
            token_key,
            server,
            controllers,
            ..
        } = &self.files;
        let own = vec![
            flag("kubeconfig", controllers.display()),
            flag("authentication-kubeconfig", controllers.display()),
            flag("authorization-kubeconfig", controllers.display()),
            flag("secure-port", CONTROLLERS_PORT),
            flag("tls-cert-file", server.certificate.display()),
            flag("tls-private-key-file", server.key.display()),
            flag("leader-elect", false),
            flag("use-service-account-credentials", true),
            flag("root-ca-file", authority.certificate.display()),
            flag("cluster-signing-cert-file", authority.certificate.display()),
            flag("cluster-signing-key-file", authority.key.display()),
            flag("service-account-private-key-file", token_key.display()),
        ];
        [own, self.controller_flags.clone()].concat()
    }

    fn scheduler(&self) -> Vec<String> {
        let Files { server, scheduler, .. } = &self.files;
        let own = vec![
            flag("config", self.scheduler_config().display()),
            flag("authentication-kubeconfig", scheduler.display()),
            flag("authorization-kubeconfig", scheduler.display()),
            flag("secure-port", SCHEDULER_PORT),
            flag("authorization-always-allow-paths", OPEN_PATHS),
            flag("tls-cert-file", server.certificate.display()),
            flag("tls-private-key-file", server.key.display()),
        ];
        let gates = [
            self.gangs.then_some(GANGS),
            self.scheduler_gate.map(SchedulerGate::setting),
        ];
        let gates = gates.into_iter().flatten().map(|gate| flag("feature-gates", gate));
        own.into_iter().chain(gates).collect()
    }

    fn scheduler_config(&self) -> PathBuf {
        self.folder.join("scheduler.json")
    }

    fn write_scheduler_config(&self, mut config: Value) -> Result<()> {
        config["apiVersion"] = json!(SCHEDULER_CONFIG);
        config["kind"] = json!("KubeSchedulerConfiguration");
        config["leaderElection"] = json!({"leaderElect": false});
        config["clientConnection"]["kubeconfig"] = json!(self.files.scheduler);
        let path = self.scheduler_config();
        fs::write(&path, config.to_string()).with_context(|| format!("writing {}", path.display()))
    }
}

impl Files {
    fn create(pki: &Pki, sandbox: &Sandbox) -> Result<Self> {
        let client = |user: &str| pki.kubeconfig_file(user, GATEWAY, &Subject::user(&format!("system:{user}")));
        Ok(Self {
            authority: pki.authority(),
            token_key: pki.token_key(),
            token_public_key: pki.token_public_key(),
            server: pki.issue_files("server", &Subject::server("server", server_names(sandbox)))?,
            kubelet_client: pki.issue_files("kubelet-client", &Subject::admin())?,
            controllers: client("kube-controller-manager")?,
            scheduler: client("kube-scheduler")?,
        })
    }
}

fn server_names(sandbox: &Sandbox) -> Vec<String> {
    let addresses = [GATEWAY, API_SERVICE, Ipv4Addr::LOCALHOST, sandbox.address_from_host()];
    let names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
    ];
    let addresses = addresses.iter().map(Ipv4Addr::to_string);
    addresses.chain(names.map(str::to_owned)).collect()
}

/// `--name=value`.
pub(crate) fn flag(name: &str, value: impl std::fmt::Display) -> String {
    format!("--{name}={value}")
}
