//! Runs the driver.

use anyhow::Context;
use node_driver::run::{self, Settings};
use program::{DRAIN_LIMIT, stop_on_signal};

use super::RunArgs;

/// Runs the driver until SIGTERM or SIGINT.
pub async fn run(args: RunArgs) -> anyhow::Result<()> {
    let node = args
        .node_name
        .context("set --node-name or NODE_NAME to the name of this node in Kubernetes")?;
    let stop = stop_on_signal(DRAIN_LIMIT).context("signals cannot be received")?;
    let devices = args.backend.open()?;
    let client = kube::Client::try_default()
        .await
        .context("cannot find the API server: run in a pod, or set KUBECONFIG")?;
    let registration_dir = (!args.no_registration).then_some(args.registration_dir);
    let settings = Settings {
        node,
        csi_socket: args.socket.csi_socket,
        registration_dir,
        http_listen: args.http_listen,
    };
    tracing::info!(
        ?settings,
        backend = devices.backend(),
        version = env!("CARGO_PKG_VERSION"),
        "starting"
    );
    run::run(settings, devices, client, stop).await?;
    tracing::info!("stopped");
    Ok(())
}
