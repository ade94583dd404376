//! `cargo demo`, `cargo verify` and `cargo figures`: Daxfit on a real control plane, a real kubelet and a real kernel.

mod cache;
mod cli;
mod cluster;
mod command;
mod go;
mod guest;
mod hardware;
mod packages;
mod programs;
mod progress;
mod tools;
mod verify;
mod vm;

use anyhow::Result;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,e2e=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .init();
    cli::run().await
}
