//! Puts the parts together.

use std::net::SocketAddr;
use std::path::PathBuf;

use cluster::names::MANAGED_BY_LABEL;
use cluster::watch;
use crds::{MANAGED_BY, PmemNode, PmemVolume};
use csi::{Socket, SocketError};
use k8s_openapi::api::storage::v1::{CSIStorageCapacity, StorageClass};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::watcher::Config;
use kube::{Api, Client};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::capacity;
use crate::controller::Service;
use crate::events::{invalid_class, orphaned_volumes, waiting_pods};
use crate::health::{self, HealthError};
use crate::identity::identity;
use crate::index::SharedIndex;
use crate::serve::serve;

/// Where the operator runs, and where it is called.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its own namespace, where its CSIStorageCapacity objects are.
    pub namespace: String,
    /// The CSI socket.
    pub csi_socket: PathBuf,
    /// Where health is served over plain HTTP; none: nowhere.
    pub http_listen: Option<SocketAddr>,
}

/// Why the operator ends before it is told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The socket cannot be made.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The socket cannot be served any more.
    #[error("cannot serve CSI")]
    Serve(#[source] tonic::transport::Error),
    /// Health cannot be served.
    #[error(transparent)]
    Health(#[from] HealthError),
    /// One of the tasks that never end has ended.
    #[error("a background task ended")]
    Background(#[source] Option<tokio::task::JoinError>),
}

/// Runs the operator until `stop`.
///
/// # Errors
/// If the socket or health cannot be served, or a background task ends.
pub async fn run(client: Client, settings: Settings, stop: CancellationToken) -> Result<(), RunError> {
    let index = SharedIndex::default();
    let (connections, _file) = Socket::bind(&settings.csi_socket)?.into_incoming();
    let mut background = start(&client, &settings.namespace, &index);
    let service = Service::new(client, index.clone(), stop.clone());
    let health = health::serve(settings.http_listen, index.clone(), stop.clone());
    let csi = serve(connections, identity(index), service, stop);
    let csi = async { csi.await.map_err(RunError::Serve) };
    let health = async { health.await.map_err(RunError::Health) };
    tokio::select! {
        served = async { tokio::try_join!(csi, health) } => served.map(drop),
        ended = background.join_next() => Err(RunError::Background(ended.and_then(Result::err))),
    }
}

fn start(client: &Client, namespace: &str, index: &SharedIndex) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let all = Config::default;
    let ours = Config::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGED_BY}"));
    let capacities: Api<CSIStorageCapacity> = Api::namespaced(client.clone(), namespace);
    tasks.spawn(watch::run(Api::<PmemNode>::all(client.clone()), all(), index.clone()));
    tasks.spawn(watch::run(Api::<PmemVolume>::all(client.clone()), all(), index.clone()));
    tasks.spawn(watch::run(
        Api::<StorageClass>::all(client.clone()),
        all(),
        index.clone(),
    ));
    tasks.spawn(watch::run(capacities, ours, index.clone()));
    tasks.spawn(capacity::writer::run(client.clone(), namespace.into(), index.clone()));
    let recorder = Recorder::new(client.clone(), Reporter::from(MANAGED_BY));
    tasks.spawn(invalid_class::run(recorder.clone(), index.clone()));
    tasks.spawn(orphaned_volumes::run(client.clone(), recorder, index.clone()));
    tasks.spawn(waiting_pods::run(client.clone(), index.clone()));
    tasks
}
