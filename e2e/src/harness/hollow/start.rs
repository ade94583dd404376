//! Starts the processes beside the control plane: provisioner, operator, extender, and the nodes.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use k8s_openapi::api::storage::v1::CSIStorageCapacity;
use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::json;

use super::hollow_cluster::{HollowCluster, LOGS, PROGRAMS};
use super::part::{EXTENDER, Extender, Nodes, PROVISIONER_PORT, Part, SECOND_EXTENDER, SECOND_SCHEDULER};
use super::pods::can_be_made;
use crate::harness::cluster::control_plane::flag;
use crate::harness::cluster::pki::Subject;
use crate::harness::daemon::Daemon;
use crate::harness::kubectl::SYSTEM_NAMESPACE;
use crate::harness::programs::{self, HOLLOW_NODES, OPERATOR, Program};
use crate::harness::progress::step;
use crate::harness::sandbox::{GATEWAY, Inside};
use crate::harness::tools::Tool;
use crate::harness::wait::{HANG_LIMIT, Probe, until};
use crate::harness::{capacity, client};

/// Where the manifests have the CSI socket.
const SOCKET_IN_POD: &str = "/csi/csi.sock";
/// Persistent memory of the nodes: the sandbox has a tmpfs there, so that nothing is written to the disk of this machine.
const NODES_FOLDER: &str = "/run/hollow-nodes";

/// The classes of the manifests: a node publishes an object for each of them and each of its NUMA nodes.
const CLASSES: u32 = 3;

impl HollowCluster {
    /// Starts all but the extender, and waits until the capacity of all nodes is published and pods can be made.
    pub(crate) async fn start_daxfit(&mut self, nodes: Nodes) -> Result<()> {
        self.start_operator()?;
        self.start_provisioner()?;
        self.start_nodes(nodes)?;
        let expected = usize::try_from(nodes.count * nodes.regions * CLASSES)?;
        until("capacity of all nodes", HANG_LIMIT, async || {
            match (self.check(), capacities(&self.client()).await) {
                (Err(error), _) => Probe::Never(error),
                (Ok(()), Err(error)) => Probe::NotYet(error),
                (Ok(()), Ok(found)) if found == expected => Probe::Ready(()),
                (Ok(()), Ok(found)) => Probe::NotYet(anyhow!("{found} of {expected} objects are there")),
            }
        })
        .await?;
        can_be_made(&self.client()).await
    }

    /// Starts all with so many nodes of two regions of 1 GiB, and the extender, which no scheduler asks yet.
    pub(crate) async fn start_with_extender(&mut self, count: u32) -> Result<()> {
        let nodes = Nodes {
            count,
            region: "1Gi",
            regions: 2,
        };
        step("starting operator, provisioner and nodes", self.start_daxfit(nodes)).await?;
        self.start_extender().await
    }

    /// Starts the operator as its pod would.
    pub(crate) fn start_operator(&mut self) -> Result<()> {
        let kubeconfig = self.kubeconfig_of("daxfit-operator")?;
        let mut command = self.command(OPERATOR, Inside::Network)?;
        command
            .args(self.arguments_of("operator")?)
            .env("POD_NAMESPACE", SYSTEM_NAMESPACE)
            .env("KUBECONFIG", kubeconfig);
        self.spawn(Part::Operator, command)
    }

    /// Starts the provisioner as its container would. It waits for the operator's socket.
    pub(crate) fn start_provisioner(&mut self) -> Result<()> {
        let kubeconfig = self.kubeconfig_of("daxfit-operator")?;
        let program = self.tools.path(Tool::CsiProvisioner);
        let mut command = self.sandbox.command(Inside::Network, program);
        command
            .args(self.arguments_of("provisioner")?)
            // Later flags overrule earlier ones.
            .args(self.limits.flags())
            .arg(flag("kubeconfig", kubeconfig.display()))
            .arg(flag("http-endpoint", format!("0.0.0.0:{PROVISIONER_PORT}")));
        self.spawn(Part::Provisioner, command)
    }

    /// Starts the extender and waits until it has indexed the cluster.
    pub(crate) async fn start_extender(&mut self) -> Result<()> {
        self.run_extender(EXTENDER).await
    }

    async fn run_extender(&mut self, extender: Extender) -> Result<()> {
        let certificates = self.run.folder(extender.certificates)?;
        let kubeconfig = self.kubeconfig_of("daxfit-extender")?;
        let mut command = self.command(programs::EXTENDER, Inside::Network)?;
        command
            .arg(flag("tls-dir", certificates.display()))
            // The harness asks it too, from outside the sandbox.
            .arg(flag("listen", format!("0.0.0.0:{}", extender.port)))
            .env("KUBECONFIG", kubeconfig);
        self.spawn(extender.part, command)?;
        until("the extender to be ready", HANG_LIMIT, async || match self.check() {
            Err(error) => Probe::Never(error),
            Ok(()) => match self.client_of(extender) {
                Ok(extender) => client::get(&extender, "/readyz").await.map(drop).into(),
                Err(error) => Probe::NotYet(error),
            },
        })
        .await
    }

    /// Starts another scheduler beside the first, with an extender of its own, for the pods that name
    /// [`SECOND_SCHEDULER`](super::SECOND_SCHEDULER).
    pub(crate) async fn start_second_scheduler(&mut self) -> Result<()> {
        self.run_extender(SECOND_EXTENDER).await?;
        let certificates = self.run.folder(SECOND_EXTENDER.certificates)?;
        let mut config = self.config_with(&certificates)?;
        config["extenders"][0]["urlPrefix"] = json!(format!("https://127.0.0.1:{}", SECOND_EXTENDER.port));
        config["profiles"] = json!([{ "schedulerName": SECOND_SCHEDULER }]);
        config["leaderElection"] = json!({ "leaderElect": false });
        let user = Subject::user("system:kube-scheduler");
        config["clientConnection"]["kubeconfig"] = json!(self.pki.kubeconfig_file(SECOND_SCHEDULER, GATEWAY, &user)?);
        let file = self.run.folder(LOGS)?.join("second-scheduler.json");
        fs::write(&file, config.to_string()).with_context(|| format!("writing {}", file.display()))?;
        let program = self.tools.path(Tool::KubeScheduler);
        let mut command = self.sandbox.command(Inside::Mounts, program);
        command.arg(flag("config", file.display())).arg(flag("secure-port", 0));
        self.spawn(Part::SecondScheduler, command)
    }

    /// Starts nodes. They are complete once each has reported what it has.
    pub(crate) fn start_nodes(&mut self, nodes: Nodes) -> Result<()> {
        let mut command = self.command(HOLLOW_NODES, Inside::Mounts)?;
        // As in the manifest of the driver: one heap for each node.
        command.env("MALLOC_ARENA_MAX", nodes.count.to_string());
        command
            .arg(flag("kubeconfig", self.kubeconfig.display()))
            .arg(flag("nodes", nodes.count))
            .arg(flag("folder", NODES_FOLDER))
            .args((0..nodes.regions).map(|numa| flag("region", format!("{}@{numa}", nodes.region))))
            .arg(flag("record", self.run.path().join("devices.jsonl").display()))
            .arg(flag("control", self.node_control().display()));
        self.spawn(Part::Nodes, command)
    }

    /// Kills a part that runs.
    pub(crate) fn stop(&mut self, part: Part) -> Result<()> {
        let daemon = self.parts.remove(&part);
        daemon
            .with_context(|| format!("{} was not started", part.name()))?
            .kill()
    }

    fn spawn(&mut self, part: Part, command: Command) -> Result<()> {
        let log = self.run.folder(LOGS)?.join(format!("{}.log", part.name()));
        let daemon = Daemon::spawn(part.name(), command, &log)?;
        match self.parts.insert(part, daemon) {
            None => Ok(()),
            Some(_) => Err(anyhow!("{} was started twice", part.name())),
        }
    }

    fn command(&self, program: Program, inside: Inside) -> Result<Command> {
        let path = self.run.folder(PROGRAMS)?.join(program.name);
        Ok(self.sandbox.command(inside, path))
    }

    /// A kubeconfig for a service account: the API server takes a certificate with its name for the account itself.
    fn kubeconfig_of(&self, account: &str) -> Result<PathBuf> {
        let subject = Subject {
            user: format!("system:serviceaccount:{SYSTEM_NAMESPACE}:{account}"),
            group: Some("system:serviceaccounts".to_owned()),
            names: Vec::new(),
        };
        self.pki.kubeconfig_file(account, GATEWAY, &subject)
    }

    /// The arguments of a container in the manifests, with the CSI socket in the folder of the run.
    fn arguments_of(&self, container: &str) -> Result<Vec<String>> {
        let socket = self.run.path().join("csi.sock");
        let socket = socket.to_str().context("the cache's path is not UTF-8")?;
        let arguments = self.manifests.arguments(container)?;
        Ok(arguments
            .iter()
            .map(|argument| argument.replace(SOCKET_IN_POD, socket))
            .collect())
    }
}

async fn capacities(client: &Client) -> Result<usize> {
    let api: Api<CSIStorageCapacity> = Api::all(client.clone());
    let of_nodes = ListParams::default().labels(capacity::OF_NODES);
    Ok(api.list_metadata(&of_nodes).await?.items.len())
}
