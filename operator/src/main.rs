//! The operator of Daxfit.

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Publishes how much persistent memory can be had where, and serves the CSI Controller for the external-provisioner.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Unix socket of the CSI Controller.
    #[arg(long, default_value = "/csi/csi.sock", global = true)]
    csi_socket: PathBuf,
    /// Namespace of the operator, where its CSIStorageCapacity objects are.
    #[arg(long, env = "POD_NAMESPACE")]
    namespace: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Ask a running operator on its socket whether it answers, and end with 0 if it does.
    Probe {
        /// It must also know the cluster completely.
        #[arg(long)]
        ready: bool,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    match args.command {
        Some(Command::Probe { ready }) => probe(args.csi_socket, ready).await,
        None => operate(args).await,
    }
}

async fn probe(socket: PathBuf, must_be_ready: bool) -> anyhow::Result<()> {
    let ready = daxfit_operator::probe::probe(socket).await?;
    ensure!(
        ready || !must_be_ready,
        "not ready: the cluster has not been listed completely"
    );
    println!("{}", if ready { "ready" } else { "starting" });
    Ok(())
}

async fn operate(args: Args) -> anyhow::Result<()> {
    let levels = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(levels)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let namespace = args
        .namespace
        .context("set --namespace or POD_NAMESPACE to the operator's own namespace")?;
    let client = kube::Client::try_default()
        .await
        .context("no way to reach the API server")?;
    let stop = stop_on_signal()?;
    daxfit_operator::run::run(client, namespace, args.csi_socket, stop).await?;
    Ok(())
}

fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("stopping");
        told.cancel();
    });
    Ok(stop)
}
