//! The command line.

mod inventory;
mod run;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::{Args, Parser, Subcommand};
use node_driver::devices::BackendArgs;
use node_driver::host_rules;
use node_driver::known_zero::KnownZeros;
use program::{LogFormat, start_log};

/// Provisions, mounts and erases persistent memory on one node of a Kubernetes cluster.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Name of this node in Kubernetes.
    #[arg(long, env = "NODE_NAME", value_parser = node_name)]
    node_name: Option<String>,
    /// Namespace of Daxfit, where the Lease of the driver is.
    #[arg(long, env = "POD_NAMESPACE", default_value = "daxfit-system")]
    namespace: String,
    #[command(flatten)]
    socket: SocketArgs,
    /// The kubelet's directory of plugin sockets.
    #[arg(long, default_value = "/var/lib/kubelet/plugins_registry")]
    registration_dir: PathBuf,
    /// The host's folder of rules for udev, such as /etc/udev/rules.d: gets a file that keeps the host from acting on what is
    /// inside of volumes. Without it, the PmemNode says that this is missing.
    #[arg(long)]
    udev_rules_dir: Option<PathBuf>,
    /// Do not register with the kubelet: nothing can be mounted then.
    #[arg(long, conflicts_with = "registration_dir")]
    no_registration: bool,
    /// Address for /healthz and /readyz over plain HTTP, such as 0.0.0.0:8080. Without it, only the sockets are served.
    #[arg(long)]
    http_listen: Option<SocketAddr>,
    /// How long free bytes that may hold something rest until they are made zero in the background, before any volume needs them.
    /// They may belong to somebody who destroyed a namespace by mistake. 0: they stay as they are until a volume gets them.
    #[arg(long, env = "SWEEP_AFTER", value_name = "SECONDS", default_value_t = 300)]
    sweep_after: u32,
    #[command(flatten)]
    backend: BackendArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Args)]
struct SocketArgs {
    /// Unix socket of the CSI services.
    #[arg(long, default_value = "/var/lib/kubelet/plugins/csi.daxfit.dev/csi.sock")]
    csi_socket: PathBuf,
}

#[derive(Debug, Args)]
struct ProbeArgs {
    #[command(flatten)]
    socket: SocketArgs,
    /// It must have listed its devices as well.
    #[arg(long)]
    ready: bool,
}

#[derive(Debug, Args)]
struct LogArgs {
    /// How log lines look. What is logged is set in the environment, such as `RUST_LOG=node_driver=debug`.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Ask the running driver whether it answers, and end with 0 if it does.
    Probe(ProbeArgs),
    /// Print regions, namespaces and free extents as JSON. Nothing on the devices changes, also beside a running driver.
    Inventory(BackendArgs),
    /// Print the rules for udev that --udev-rules-dir installs.
    UdevRules,
}

impl Cli {
    /// Runs the subcommand, or without one the driver.
    pub fn main(self) -> anyhow::Result<()> {
        start_log(self.run.log.log_format);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .context("cannot start threads")?;
        runtime.block_on(self.dispatch())
    }

    async fn dispatch(self) -> anyhow::Result<()> {
        match self.command {
            Some(Command::Probe(ProbeArgs { socket, ready })) => probe(&socket.csi_socket, ready).await,
            Some(Command::Inventory(backend)) => inventory::print(&*backend.open(KnownZeros::default())?),
            Some(Command::UdevRules) => {
                print!("{}", host_rules::RULES);
                Ok(())
            }
            None => run::run(self.run).await,
        }
    }
}

/// The longest value of a label.
const LONGEST_LABEL: usize = 63;

/// The kubelet makes the driver's topology a label of the node, whose value is the node's name.
fn node_name(name: &str) -> Result<String, String> {
    if name.len() > LONGEST_LABEL {
        return Err(format!(
            "it has {} characters, and the value of a label at most {LONGEST_LABEL}: register the node under a shorter \
             name (kubelet --hostname-override)",
            name.len()
        ));
    }
    Ok(name.to_owned())
}

async fn probe(socket: &Path, must_be_ready: bool) -> anyhow::Result<()> {
    let ready = csi::probe(socket).await?;
    ensure!(
        ready || !must_be_ready,
        "not ready: the devices could not be listed yet"
    );
    println!("{}", if ready { "ready" } else { "starting" });
    Ok(())
}

#[cfg(test)]
mod tests;
