//! Puts the parts together.

use std::net::SocketAddr;
use std::path::PathBuf;

use cluster::names::MANAGED_BY_LABEL;
use cluster::watch;
use crds::{MANAGED_BY, PmemNode, PmemVolume};
use csi::{Socket, SocketError};
use k8s_openapi::api::core::v1::PersistentVolume;
use k8s_openapi::api::storage::v1::{CSINode, CSIStorageCapacity, StorageClass};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::watcher::Config;
use kube::{Api, Client};
use placement::Policy;
use program::health::HealthError;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::capacity;
use crate::controller::Service;
use crate::events::{class_mistakes, orphaned_volumes, waiting_pods};
use crate::health;
use crate::identity::identity;
use crate::index::SharedIndex;
use crate::kept_volumes::{maker, warner};
use crate::serve::serve;
use crate::silent_drivers;
use crate::stranded_claims;
use crate::unclaimed_volumes;

/// What is set on the command line.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its own namespace, where its CSIStorageCapacity objects are.
    pub namespace: String,
    /// The unix socket of the CSI Controller.
    pub csi_socket: PathBuf,
    /// The address of `/healthz` and `/readyz` over plain HTTP; none: not served.
    pub http_listen: Option<SocketAddr>,
    /// Which node is best for a volume that is made without a pod.
    pub score: Policy,
}

/// Why the operator ended although nobody stopped it. Kubernetes starts it again.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The socket cannot be bound.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// No connection can be accepted on the socket any more.
    #[error("cannot serve CSI")]
    Serve(#[source] tonic::transport::Error),
    /// The address for health cannot be listened on.
    #[error(transparent)]
    Health(#[from] HealthError),
    /// A task that should never end has ended, most likely by a panic.
    #[error("a background task ended")]
    Background(#[source] Option<tokio::task::JoinError>),
}

/// Runs the operator until `stop`; calls at work are finished then.
///
/// # Errors
/// If the socket or health cannot be served, or a background task ends.
pub async fn run(client: Client, settings: Settings, stop: CancellationToken) -> Result<(), RunError> {
    let (connections, _file) = Socket::bind(&settings.csi_socket)?.into_incoming();
    let Operator {
        service,
        index,
        mut background,
    } = Operator::start(client, settings.namespace, settings.score, stop.clone());
    let health = health::serve(settings.http_listen, index.clone(), stop.clone());
    let csi = serve(connections, identity(index), service, stop);
    let csi = async { csi.await.map_err(RunError::Serve) };
    let health = async { health.await.map_err(RunError::Health) };
    tokio::select! {
        served = async { tokio::try_join!(csi, health) } => served.map(drop),
        ended = background.join_next() => Err(RunError::Background(ended.and_then(Result::err))),
    }
}

/// All that works for the cluster, without a socket. Nothing goes on when it is dropped.
pub struct Operator {
    /// Answers the calls of external-provisioner.
    pub service: Service,
    /// What its watches show.
    pub index: SharedIndex,
    /// Its watches and writers. None of them ever ends.
    pub background: JoinSet<()>,
}

impl Operator {
    /// Starts the watches and the writers. CSIStorageCapacity objects are in `namespace`.
    #[must_use]
    pub fn start(client: Client, namespace: String, score: Policy, stop: CancellationToken) -> Self {
        let index = SharedIndex::default();
        let mut background = JoinSet::new();
        start_watches(&mut background, &client, &namespace, &index);
        start_writers(&mut background, &client, namespace, &index);
        let service = Service::new(client.clone(), index.clone(), stop).with_policy(score);
        background.spawn(unclaimed_volumes::run(service.clone()));
        let recorder = Recorder::new(client.clone(), Reporter::from(MANAGED_BY));
        background.spawn(stranded_claims::run(client, recorder, service.clone()));
        Self {
            service,
            index,
            background,
        }
    }
}

/// Everything that the index is fed by.
fn start_watches(tasks: &mut JoinSet<()>, client: &Client, namespace: &str, index: &SharedIndex) {
    let all = Config::default;
    let ours = all().labels(&format!("{MANAGED_BY_LABEL}={MANAGED_BY}"));
    let nodes = Api::<PmemNode>::all(client.clone());
    let volumes = Api::<PmemVolume>::all(client.clone());
    let persistent_volumes = Api::<PersistentVolume>::all(client.clone());
    let classes = Api::<StorageClass>::all(client.clone());
    let csi_nodes = Api::<CSINode>::all(client.clone());
    let capacities = Api::<CSIStorageCapacity>::namespaced(client.clone(), namespace);
    tasks.spawn(watch::run(nodes, all(), index.clone()));
    tasks.spawn(watch::run(volumes, all(), index.clone()));
    tasks.spawn(watch::run(persistent_volumes, all(), index.clone()));
    tasks.spawn(watch::run(classes, all(), index.clone()));
    tasks.spawn(watch::run(csi_nodes, all(), index.clone()));
    tasks.spawn(watch::run(capacities, ours, index.clone()));
}

/// Everything that writes to the cluster by itself: capacity, objects of kept volumes, marks of silent drivers, and events.
fn start_writers(tasks: &mut JoinSet<()>, client: &Client, namespace: String, index: &SharedIndex) {
    let recorder = Recorder::new(client.clone(), Reporter::from(MANAGED_BY));
    tasks.spawn(capacity::writer::run(client.clone(), namespace.clone(), index.clone()));
    tasks.spawn(capacity::writer::doubt(index.clone()));
    tasks.spawn(silent_drivers::run(client.clone(), namespace, index.clone()));
    tasks.spawn(class_mistakes::run(recorder.clone(), index.clone()));
    tasks.spawn(maker::run(client.clone(), recorder.clone(), index.clone()));
    tasks.spawn(warner::run(client.clone(), index.clone()));
    tasks.spawn(orphaned_volumes::run(client.clone(), recorder, index.clone()));
    tasks.spawn(waiting_pods::run(client.clone(), index.clone()));
}
