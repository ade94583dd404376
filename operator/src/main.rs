//! The operator of Daxfit.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};
use daxfit_operator::run::{Settings, run};
use placement::Policy;
use program::{DRAIN_LIMIT, LogFormat, start_log, stop_on_signal};

/// Publishes the capacity of each node, and serves the CSI Controller for the external-provisioner.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Unix socket of the CSI Controller.
    #[arg(long, default_value = "/csi/csi.sock", global = true)]
    csi_socket: PathBuf,
    /// Namespace of the operator, where its CSIStorageCapacity objects are.
    #[arg(long, env = "POD_NAMESPACE")]
    namespace: Option<String>,
    /// Address for /healthz and /readyz over plain HTTP, such as 0.0.0.0:8080. Without it, only the CSI socket is served.
    #[arg(long)]
    http_listen: Option<SocketAddr>,
    /// Which node is best for a volume of a class with Immediate binding: "pack" keeps large extents whole, "spread" prefers the
    /// most free bytes. As the extender's, which decides for all others.
    #[arg(long, env = "DAXFIT_OPERATOR_SCORE", default_value_t = Policy::Pack)]
    score: Policy,
    /// How to write the log. The environment variable `RUST_LOG` says how much of it, such as "info,kube=debug".
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Ask a running operator on its socket whether it answers, and end with 0 if it does.
    Probe {
        /// Its watches must have completed their lists as well.
        #[arg(long)]
        ready: bool,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    match args.command {
        Some(Command::Probe { ready }) => probe(&args.csi_socket, ready).await,
        None => operate(args).await,
    }
}

async fn probe(socket: &Path, must_be_ready: bool) -> anyhow::Result<()> {
    let ready = csi::probe(socket).await?;
    ensure!(
        ready || !must_be_ready,
        "not ready: the cluster has not been listed completely"
    );
    println!("{}", if ready { "ready" } else { "starting" });
    Ok(())
}

async fn operate(args: Args) -> anyhow::Result<()> {
    start_log(args.log_format);
    let stop = stop_on_signal(DRAIN_LIMIT).context("signals cannot be received")?;
    let settings = Settings {
        namespace: args
            .namespace
            .context("set --namespace or POD_NAMESPACE to the operator's own namespace")?,
        csi_socket: args.csi_socket,
        http_listen: args.http_listen,
        score: args.score,
    };
    let client = kube::Client::try_default()
        .await
        .context("no way to reach the API server")?;
    Ok(run(client, settings, stop).await?)
}
