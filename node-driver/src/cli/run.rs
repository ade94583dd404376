//! Runs the driver.

use std::mem::ManuallyDrop;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use node_driver::host_rules;
use node_driver::known_zero::KnownZeros;
use node_driver::node_file::NodeFile;
use node_driver::node_lock::NodeLock;
use node_driver::run::{self, Settings};
use node_driver::volumes::EraseRates;
use program::{DRAIN_LIMIT, stop_on_signal};

use super::RunArgs;

/// Runs the driver until SIGTERM or SIGINT.
pub async fn run(args: RunArgs) -> anyhow::Result<()> {
    let node = args
        .node_name
        .context("set --node-name or NODE_NAME to the name of this node in Kubernetes")?;
    let stop = stop_on_signal(DRAIN_LIMIT).context("signals cannot be received")?;
    let folder = args.socket.csi_socket.parent().unwrap_or_else(|| Path::new("."));
    // Until the process is gone: threads may write to devices for longer than this function runs.
    let _lock = ManuallyDrop::new(NodeLock::take(folder)?);
    let host_rules = args
        .backend
        .is_real()
        .then(|| host_rules::install(args.udev_rules_dir.as_deref()));
    let devices = args.backend.open(KnownZeros::kept_in(NodeFile::known_zeros(folder)))?;
    let rates = EraseRates::kept_in(NodeFile::erase_rates(folder));
    let client = kube::Client::try_default()
        .await
        .context("cannot find the API server: run in a pod, or set KUBECONFIG")?;
    let registration_dir = (!args.no_registration).then_some(args.registration_dir);
    let settings = Settings {
        node,
        namespace: args.namespace,
        csi_socket: args.socket.csi_socket,
        registration_dir,
        http_listen: args.http_listen,
        sweep_after: NonZeroU32::new(args.sweep_after).map(|seconds| Duration::from_secs(seconds.get().into())),
    };
    tracing::info!(
        ?settings,
        ?host_rules,
        backend = devices.backend(),
        version = env!("CARGO_PKG_VERSION"),
        "starting"
    );
    run::run(settings, devices, rates, host_rules, client, stop).await?;
    tracing::info!("stopped");
    Ok(())
}
