//! The processes beside the control plane: provisioner, operator, extender, and the nodes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use kube::{Client, Config};

use super::{HollowCluster, LOGS, PROGRAMS, Samples, text};
use crate::cluster::cell::{GATEWAY, Inside};
use crate::cluster::control_plane::flag;
use crate::cluster::install::NAMESPACE;
use crate::cluster::launch::Daemon;
use crate::cluster::pki::Subject;
use crate::cluster::wait::{Probe, get, until};
use crate::programs::{EXTENDER, HOLLOW_NODES, OPERATOR};
use crate::tools::Tool;

/// Where the manifests have the CSI socket.
const SOCKET_IN_POD: &str = "/csi/csi.sock";
const EXTENDER_PORT: u16 = 10361;
const PROVISIONER_PORT: u16 = 10362;
/// Memory of the nodes: the cell has a tmpfs there, so that nothing is written to the disk of this machine.
const MEMORY: &str = "/run/hollow-nodes";
const READY_WITHIN: Duration = Duration::from_secs(120);

/// A process beside the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The external-provisioner.
    Provisioner,
    /// Our operator.
    Operator,
    /// Our extender.
    Extender,
    /// The nodes.
    Nodes,
}

/// Nodes to be started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nodes {
    /// How many.
    pub(crate) count: u32,
    /// The size of each of the two regions, such as "1Gi". Each is on a NUMA node of its own.
    pub(crate) region: &'static str,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Provisioner => "provisioner",
            Self::Operator => "operator",
            Self::Extender => "extender",
            Self::Nodes => "hollow-nodes",
        }
    }
}

impl HollowCluster {
    /// Starts the operator as its pod would.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start_operator(&mut self) -> Result<()> {
        let kubeconfig = self.kubeconfig_of("daxfit-operator")?;
        let mut command = self.ours(OPERATOR.name)?;
        command
            .args(self.at_our_socket("operator")?)
            .env("POD_NAMESPACE", NAMESPACE)
            .env("KUBECONFIG", kubeconfig);
        self.begin(Part::Operator, command)
    }

    /// Starts the provisioner as its container would. It waits for the operator's socket.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start_provisioner(&mut self) -> Result<()> {
        let kubeconfig = self.kubeconfig_of("daxfit-operator")?;
        let mut command = self
            .cell
            .command(Inside::Network, self.tools.path(Tool::CsiProvisioner));
        command
            .args(self.at_our_socket("provisioner")?)
            .args(self.limits.flags())
            .arg(flag("kubeconfig", kubeconfig.display()))
            .arg(flag("http-endpoint", format!("0.0.0.0:{PROVISIONER_PORT}")));
        self.begin(Part::Provisioner, command)
    }

    /// Starts the extender and waits until it knows the cluster.
    ///
    /// # Errors
    /// It does not come up.
    pub(crate) async fn start_extender(&mut self) -> Result<()> {
        let certificates = self.certificates()?;
        let kubeconfig = self.kubeconfig_of("daxfit-extender")?;
        let mut command = self.ours(EXTENDER.name)?;
        command
            .arg(flag("tls-dir", certificates.display()))
            // The harness asks it too, from outside the cell.
            .arg(flag("listen", format!("0.0.0.0:{EXTENDER_PORT}")))
            .env("KUBECONFIG", kubeconfig);
        self.begin(Part::Extender, command)?;
        until("the extender to be ready", READY_WITHIN, async || match self.check() {
            Err(error) => Probe::Never(error),
            Ok(()) => match self.extender() {
                Ok(extender) => get(&extender, "/readyz").await.into(),
                Err(error) => Probe::NotYet(error),
            },
        })
        .await
    }

    /// Ends a part.
    ///
    /// # Errors
    /// It was not started.
    pub(crate) fn stop(&mut self, part: Part) -> Result<()> {
        let daemon = self.parts.remove(&part);
        daemon
            .with_context(|| format!("{} was not started", part.name()))?
            .kill()
    }

    /// The extender, as the scheduler calls it.
    ///
    /// # Errors
    /// It has not made its certificates yet.
    pub(crate) fn extender(&self) -> Result<Client> {
        let certificates = self.certificates()?;
        let read = |file: &str| text(&certificates.join(file));
        let url = format!("https://{}:{EXTENDER_PORT}", self.cell.address_from_host());
        let mut config = Config::new(url.parse()?);
        config.tls_server_name = Some("localhost".to_owned());
        config.root_cert = Some(vec![crate::cluster::control_plane::pem_to_der(&read("ca.crt")?)?]);
        config.auth_info.client_certificate_data = Some(encoded(&read("client.crt")?));
        config.auth_info.client_key_data = Some(encoded(&read("client.key")?).into());
        Ok(Client::try_from(config)?)
    }

    /// Starts nodes. They have what they have once each has published it.
    ///
    /// # Errors
    /// They do not start.
    pub(crate) fn start_nodes(&mut self, nodes: Nodes) -> Result<()> {
        let mut command = self.in_cell(Inside::Mounts, HOLLOW_NODES.name)?;
        command
            .arg(flag("kubeconfig", self.kubeconfig.display()))
            .arg(flag("nodes", nodes.count))
            .arg(flag("folder", MEMORY))
            .arg(flag("region", format!("{}@0", nodes.region)))
            .arg(flag("region", format!("{}@1", nodes.region)))
            .arg(flag("record", self.record().display()))
            .arg(flag("control", self.control().display()));
        self.begin(Part::Nodes, command)
    }

    /// Where the nodes note when a namespace was made or destroyed.
    pub(crate) fn record(&self) -> PathBuf {
        self.run.path().join("devices.jsonl")
    }

    /// Where the nodes take orders.
    pub(crate) fn control(&self) -> PathBuf {
        self.run.path().join("hollow-nodes.sock")
    }

    /// What the API server counts.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) async fn api_server_metrics(&self) -> Result<Samples> {
        metrics_of(&self.client).await
    }

    /// What the provisioner counts, such as its calls of the operator.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) async fn provisioner_metrics(&self) -> Result<Samples> {
        let url = format!("http://{}:{PROVISIONER_PORT}", self.cell.address_from_host());
        metrics_of(&Client::try_from(Config::new(url.parse()?))?).await
    }

    /// Resident memory of a part, in KiB: now (`VmRSS`) and at most (`VmHWM` in proc(5)).
    ///
    /// # Errors
    /// It was not started, or has ended.
    pub(crate) fn memory(&self, part: Part) -> Result<(u32, u32)> {
        let daemon = self
            .parts
            .get(&part)
            .with_context(|| format!("{} was not started", part.name()))?;
        let status = text(&Path::new("/proc").join(daemon.pid().to_string()).join("status"))?;
        let field = |name| number_after(&status, name).with_context(|| format!("{} has no {name}", part.name()));
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }

    fn begin(&mut self, part: Part, command: Command) -> Result<()> {
        let log = self.run.folder(LOGS)?.join(format!("{}.log", part.name()));
        let daemon = Daemon::spawn(part.name(), command, &log)?;
        match self.parts.insert(part, daemon) {
            None => Ok(()),
            Some(_) => Err(anyhow!("{} was started twice", part.name())),
        }
    }

    fn ours(&self, program: &str) -> Result<Command> {
        self.in_cell(Inside::Network, program)
    }

    fn in_cell(&self, inside: Inside, program: &str) -> Result<Command> {
        Ok(self.cell.command(inside, self.run.folder(PROGRAMS)?.join(program)))
    }

    /// A kubeconfig for a service account: the API server takes a certificate with its name for the account itself.
    fn kubeconfig_of(&self, account: &str) -> Result<PathBuf> {
        let subject = Subject {
            user: format!("system:serviceaccount:{NAMESPACE}:{account}"),
            group: Some("system:serviceaccounts".to_owned()),
            names: Vec::new(),
        };
        self.pki.kubeconfig_file(account, GATEWAY, &subject)
    }

    /// The arguments of a container, with the CSI socket in the folder of the run.
    fn at_our_socket(&self, container: &str) -> Result<Vec<String>> {
        let socket = self.run.path().join("csi.sock");
        let socket = socket.to_str().context("the cache's path is not UTF-8")?;
        let arguments = self.manifests.arguments(container)?;
        Ok(arguments
            .iter()
            .map(|argument| argument.replace(SOCKET_IN_POD, socket))
            .collect())
    }
}

async fn metrics_of(client: &Client) -> Result<Samples> {
    let request = http::Request::get("/metrics").body(Vec::new())?;
    Ok(Samples::new(client.request_text(request).await?))
}

/// kube takes certificates as a kubeconfig has them.
fn encoded(pem: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(pem)
}

fn number_after(status: &str, name: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::hollow::Limits;

    #[test]
    fn resident_memory_is_read() {
        let status = "VmPeak:\t  12 kB\nVmHWM:\t  20480 kB\nVmRSS:\t  10240 kB\n";
        assert_eq!(number_after(status, "VmRSS:"), Some(10240));
        assert_eq!(number_after(status, "VmHWM:"), Some(20480));
        assert_eq!(number_after(status, "VmSwap:"), None);
    }

    #[test]
    fn limits_of_the_manifests_come_first_so_that_ours_count() {
        assert!(Limits::Lifted.flags()[0].starts_with("--kube-api-qps"));
        assert!(Limits::Default.flags().is_empty());
    }
}
