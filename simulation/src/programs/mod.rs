//! The real programs, each as one that is started again whenever it ends.

mod process;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use cluster::ObjectKey;
use extender::decide::NodeChoice;
use extender::state::SharedState;
use extender::wake::WAKE_OBJECT;
use extender::{Extender, Settings};
use node_driver::csi::NodeService;
use node_driver::devices::Devices;
use node_driver::layout::Announcements;
use node_driver::run::{Cluster, work};
use node_driver::volumes::{EarlierVolumes, EraseRates};
use operator::controller::Service;
use operator::index::SharedIndex;
use operator::run::Operator;
use placement::Policy;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use process::{Process, Run};

use crate::api_server::Link;
use crate::devices::Machine;

/// How long free bytes rest: seldom until a history ends, and often enough.
const SWEEP_AFTER: Duration = Duration::from_secs(30);

/// The namespace of the operator.
pub const NAMESPACE: &str = "daxfit-system";

/// What others call of a running operator.
#[derive(Clone)]
pub struct OperatorCalls {
    /// The CSI Controller.
    pub controller: Service,
    /// What its watches show.
    pub index: SharedIndex,
}

/// What others call of a running extender.
#[derive(Clone)]
pub struct ExtenderCalls {
    /// The webhook.
    pub app: Router,
    /// What it knows and has reserved.
    pub state: SharedState,
}

/// One run of the operator.
#[must_use]
pub fn operator(link: &Link) -> Run<OperatorCalls> {
    let operator = Operator::start(
        link.client(),
        NAMESPACE.into(),
        Policy::default(),
        CancellationToken::new(),
    );
    let calls = OperatorCalls {
        controller: operator.service,
        index: operator.index,
    };
    let mut background = operator.background;
    Run::new(calls, async move { _ = background.join_next().await })
}

/// One run of the extender, with its settings as they are if nobody sets them.
#[must_use]
pub fn extender(link: &Link) -> Run<ExtenderCalls> {
    let choice = NodeChoice {
        policy: Policy::Pack,
        candidates: 8,
    };
    let stop = CancellationToken::new();
    let settings = Settings {
        choice,
        reserved_for: extender::ledger::DEFAULT_TIME_LIMIT,
        wake_object: ObjectKey::new(NAMESPACE, WAKE_OBJECT),
    };
    let Extender { app, state, mut pumps } = Extender::start(link.client(), &settings, &stop);
    Run::new(ExtenderCalls { app, state }, async move {
        let _stop = stop;
        pumps.join_next().await;
    })
}

/// One run of the node driver.
#[must_use]
pub fn driver(link: &Link, node: &str, machine: &Machine) -> Run<NodeService> {
    let devices: Arc<dyn Devices> = machine.devices(link.fuse());
    let earlier = EarlierVolumes::default();
    let service = NodeService::new(
        node.into(),
        Arc::clone(&devices),
        machine.filesystems(link.fuse()),
        earlier.clone(),
    );
    let cluster = Cluster {
        node: node.into(),
        namespace: NAMESPACE.into(),
        client: link.client(),
        sweep_after: Some(SWEEP_AFTER),
        stop: CancellationToken::new(),
    };
    let work = work(
        cluster,
        devices,
        (earlier, EraseRates::default()),
        None,
        Announced(machine.changes()),
    );
    Run::new(service, async move {
        if let Err(error) = work.await {
            tracing::error!(error = program::chain(&error), "the driver ended");
        }
    })
}

/// How long the kernel's announcements of one change take.
const SETTLE: Duration = Duration::from_millis(30);

struct Announced(watch::Receiver<u64>);

impl Announcements for Announced {
    async fn next(&mut self) -> std::io::Result<()> {
        self.0.changed().await.map_err(std::io::Error::other)?;
        tokio::time::sleep(SETTLE).await;
        self.0.mark_unchanged();
        Ok(())
    }
}
