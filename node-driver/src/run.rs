//! Everything that runs on a node, together.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::csi::{Readiness, Socket, SocketError};
use crds::{PmemNode, PmemNodeStatus, PmemVolume};
use kube::api::{Api, ListParams};
use program::health::{self, HealthError};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::csi::{DeviceReadiness, NodeService, ServeError, identity, serve};
use crate::devices::Devices;
use crate::filesystem::Kernel;
use crate::heartbeat;
use crate::host_rules::HostRules;
use crate::layout::{Announcements, EventsError, Layout, Revision, Uevents, bring_up, cover_bad_blocks, watch_devices};
use crate::registration::{self, RegistrationError, RegistrationState};
use crate::report::{Reporter, follow_written};
use crate::volumes::{ClusterRecord, EarlierVolumes, EraseRates, Objects, Reconciler, Worker, leftovers, sweep};

/// How long to wait before asking the API server again.
const AFTER_ERROR: Duration = Duration::from_secs(2);

/// Where and for whom the driver runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of the Node.
    pub node: String,
    /// The namespace of Daxfit.
    pub namespace: String,
    /// The CSI socket.
    pub csi_socket: PathBuf,
    /// The kubelet's `plugins_registry` directory; without it, the driver is not registered.
    pub registration_dir: Option<PathBuf>,
    /// Where health is served over plain HTTP; none: nowhere.
    pub http_listen: Option<SocketAddr>,
    /// As in [`Cluster`].
    pub sweep_after: Option<Duration>,
}

/// Why the driver ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A socket for the kubelet cannot be made.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The CSI server failed.
    #[error(transparent)]
    Csi(#[from] ServeError),
    /// Health cannot be served.
    #[error(transparent)]
    Health(#[from] HealthError),
    /// The registration server failed.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// The kernel's announcements cannot be heard.
    #[error(transparent)]
    Events(#[from] EventsError),
    /// A part of the driver died.
    #[error("a part of the driver died")]
    Died(#[from] JoinError),
}

/// Serves the kubelet and works for the cluster until `stop`, or until a part fails; then the others stop as well.
///
/// The kubelet is served whether or not the API server can be reached: pods start from what is on the node.
///
/// # Errors
/// What made it end, unless it was `stop`.
pub async fn run(
    settings: Settings,
    devices: Arc<dyn Devices>,
    rates: EraseRates,
    host_rules: Option<HostRules>,
    client: kube::Client,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let mut parts = JoinSet::new();
    let earlier = EarlierVolumes::default();
    serve_kubelet(&mut parts, &settings, &devices, &earlier, &stop)?;
    let cluster = Cluster {
        node: settings.node,
        namespace: settings.namespace,
        client,
        sweep_after: settings.sweep_after,
        stop: stop.clone(),
    };
    parts.spawn(work(cluster, devices, (earlier, rates), host_rules, Uevents::listen()?));
    let mut outcome = Ok(());
    while let Some(ended) = parts.join_next().await {
        let ended = ended.map_err(RunError::from).flatten();
        stop.cancel();
        outcome = outcome.and(ended);
    }
    outcome
}

fn serve_kubelet(
    parts: &mut JoinSet<Result<(), RunError>>,
    settings: &Settings,
    devices: &Arc<dyn Devices>,
    earlier: &EarlierVolumes,
    stop: &CancellationToken,
) -> Result<(), RunError> {
    let socket = Socket::bind(&settings.csi_socket)?;
    let readiness = Arc::new(DeviceReadiness::new(devices));
    let identity = identity(&**devices, Arc::clone(&readiness));
    let node = NodeService::new(
        settings.node.clone(),
        Arc::clone(devices),
        Arc::new(Kernel),
        earlier.clone(),
    );
    let shutdown = stop.clone();
    parts.spawn(async move { Ok(serve(socket, identity, node, shutdown).await?) });
    if let Some(address) = settings.http_listen {
        parts.spawn(serve_health(address, readiness, stop.clone()));
    }
    let Some(directory) = &settings.registration_dir else {
        return Ok(());
    };
    let socket = Socket::bind(&registration::socket_path(directory))?;
    parts.spawn(register(socket, settings.csi_socket.clone(), stop.clone()));
    Ok(())
}

/// Metrics belong here as well.
async fn serve_health(
    address: SocketAddr,
    readiness: Arc<DeviceReadiness>,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let routes = health::routes(move || {
        let readiness = Arc::clone(&readiness);
        async move {
            let ready = readiness.is_ready().await;
            ready
                .then_some(())
                .ok_or_else(|| "the devices could not be listed yet".into())
        }
    });
    Ok(health::serve(address, routes, stop).await?)
}

async fn register(socket: Socket, endpoint: PathBuf, stop: CancellationToken) -> Result<(), RunError> {
    let state = watch::Sender::new(RegistrationState::Waiting);
    Ok(registration::serve(socket, Path::new(&endpoint), state, stop).await?)
}

/// For whom the driver works, and how long.
pub struct Cluster {
    /// Name of the Node.
    pub node: String,
    /// The namespace of Daxfit.
    pub namespace: String,
    /// The way to the API server.
    pub client: kube::Client,
    /// How long free bytes that may hold something rest until they are written over; none: they stay as they are until a volume
    /// gets them.
    pub sweep_after: Option<Duration>,
    /// Ends the work.
    pub stop: CancellationToken,
}

/// Reports what the node has, and works on its volumes, until it is stopped: all that the driver does for the cluster, without
/// a kubelet. Many nodes can do so in one process. `host_rules` is what became of the rules for the host, if it needs any.
/// Nothing goes on when this is dropped, but for work that blocks.
///
/// # Errors
/// A part died, or changes of devices cannot be heard.
pub async fn work(
    cluster: Cluster,
    devices: Arc<dyn Devices>,
    (earlier, rates): (EarlierVolumes, EraseRates),
    host_rules: Option<HostRules>,
    announcements: impl Announcements,
) -> Result<(), RunError> {
    let Cluster {
        node,
        namespace,
        client,
        sweep_after,
        stop,
    } = cluster;
    // Before the API server is asked: volumes are staged also if it cannot be reached.
    let _later = bring_up(Arc::clone(&devices), &stop).await;
    let Some((last_report, written)) = stop.run_until_cancelled(read_past(&client, &node)).await else {
        return Ok(());
    };
    let backend = devices.backend();
    let revision = Revision::resume(last_report.as_ref(), written);
    let layout = Arc::new(Layout::new(devices, revision));
    let volumes = Reconciler::new(client.clone(), &node);
    let record = ClusterRecord::new(client.clone(), &node, volumes.store());
    let reconciled = Arc::new(Notify::new());
    let worker = Arc::new(
        Worker::new(Arc::clone(&layout), record, stop.clone())
            .with_earlier(earlier)
            .with_rates(rates),
    );
    let reporter = Reporter::new(
        &client,
        &node,
        backend,
        Objects::new(volumes.store()),
        &worker.erasures(),
        last_report,
    )
    .with_unknown(worker.unknown())
    .with_condition(host_rules.as_ref().map(HostRules::condition));
    let mut parts = JoinSet::new();
    parts.spawn(heartbeat::run(client.clone(), namespace, node.clone(), stop.clone()));
    parts.spawn(reporter.run(layout.subscribe(), Arc::clone(&reconciled), stop.clone()));
    let objects = Objects::new(volumes.store());
    let written = Objects::new(volumes.store());
    parts.spawn(follow_written(Arc::clone(&layout), written, stop.clone()));
    parts.spawn(leftovers::run(Arc::clone(&worker), objects, stop.clone()));
    if let Some(after) = sweep_after {
        let objects = Objects::new(volumes.store());
        parts.spawn(sweep::run(Arc::clone(&worker), objects, after, stop.clone()));
    }
    parts.spawn(volumes.run(worker, reconciled, stop.clone()));
    let watching = async { Ok(watch_devices(&layout, announcements, &stop).await?) };
    let covering = async {
        let _: () = cover_bad_blocks(&layout, &stop).await;
        Ok(())
    };
    tokio::try_join!(all_ended(parts), watching, covering)?;
    Ok(())
}

/// Waits until all parts have ended, or one has died.
async fn all_ended(mut parts: JoinSet<()>) -> Result<(), RunError> {
    while let Some(ended) = parts.join_next().await {
        ended?;
    }
    Ok(())
}

/// What this node reported, and the highest layout revision in the status of one of its volumes. Tries until it can be read.
async fn read_past(client: &kube::Client, node: &str) -> (Option<PmemNodeStatus>, i64) {
    loop {
        match try_read_past(client, node).await {
            Ok(past) => return past,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "cannot read what this node reported; trying again");
            }
        }
        sleep(AFTER_ERROR).await;
    }
}

async fn try_read_past(client: &kube::Client, node: &str) -> Result<(Option<PmemNodeStatus>, i64), kube::Error> {
    let nodes: Api<PmemNode> = Api::all(client.clone());
    let volumes: Api<PmemVolume> = Api::all(client.clone());
    let reported = nodes.get_opt(node).await?.and_then(|node| node.status);
    let own = ListParams::default().fields(&format!("spec.node={node}"));
    let revision = |volume: &PmemVolume| volume.status.as_ref().and_then(|status| status.layout_revision);
    let highest = volumes.list(&own).await?.items.iter().filter_map(revision).max();
    Ok((reported, highest.unwrap_or(0)))
}
