//! Hears about the volumes of this node and calls the worker for each that changed.

use std::sync::Arc;
use std::time::Duration;

use crds::PmemVolume;
use futures::StreamExt;
use kube::api::Api;
use kube::runtime::controller::Action;
use kube::runtime::reflector::Store;
use kube::runtime::{Controller, watcher};
use tokio::sync::Notify;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;

use super::error::StepError;
use super::record::Record;
use super::retry::{RetryDelays, WHILE_BEHIND, WHILE_BLOCKED};
use super::worker::{WorkResult, Worker};

/// Two events of one object within this time are one.
const DEBOUNCE: Duration = Duration::from_millis(5);

/// The controller of the volumes of one node.
pub struct Reconciler {
    controller: Controller<PmemVolume>,
    node: String,
}

struct Context<R> {
    worker: Arc<Worker<R>>,
    delays: RetryDelays,
    node: String,
    reconciled: Arc<Notify>,
}

impl Reconciler {
    /// A controller of the volumes of `node`. It watches nothing before [`Reconciler::run`].
    #[must_use]
    pub fn new(client: kube::Client, node: &str) -> Self {
        let config = watcher::Config::default().fields(&format!("spec.node={node}"));
        let settings = kube::runtime::Config::default().debounce(DEBOUNCE);
        Self {
            controller: Controller::new(Api::all(client), config).with_config(settings),
            node: node.into(),
        }
    }

    /// The volumes of the node, as far as the watch has come; empty before [`Reconciler::run`].
    #[must_use]
    pub fn store(&self) -> Store<PmemVolume> {
        self.controller.store()
    }

    /// Calls `worker` for every volume of the node whenever its object or the devices change, until `stop`; then waits for
    /// the steps that are under way. `reconciled` is notified after each call, also one that failed.
    pub async fn run<R: Record>(self, worker: Arc<Worker<R>>, reconciled: Arc<Notify>, stop: CancellationToken) {
        let devices_changed = WatchStream::from_changes(worker.layout.subscribe()).map(drop);
        let context = Arc::new(Context {
            worker,
            delays: RetryDelays::default(),
            node: self.node,
            reconciled,
        });
        self.controller
            .reconcile_all_on(devices_changed)
            .graceful_shutdown_on(async move { stop.cancelled().await })
            .run(reconcile, after_error, context)
            .for_each(|_| std::future::ready(()))
            .await;
    }
}

async fn reconcile<R: Record>(volume: Arc<PmemVolume>, context: Arc<Context<R>>) -> Result<Action, StepError> {
    // The watch asks for this node's volumes only; never trust that alone before writing to a device.
    if volume.spec.node != context.node {
        return Ok(Action::await_change());
    }
    if let Some(delay) = context.delays.remaining(&volume) {
        return Ok(Action::requeue(delay));
    }
    let result = context.worker.reconcile((*volume).clone()).await;
    context.reconciled.notify_one();
    Ok(match result? {
        WorkResult::Settled | WorkResult::Released => {
            context.delays.succeeded(&volume);
            Action::await_change()
        }
        WorkResult::Blocked => Action::requeue(WHILE_BLOCKED),
        WorkResult::Behind => Action::requeue(WHILE_BEHIND),
        WorkResult::Elsewhere => {
            context.delays.succeeded(&volume);
            Action::requeue(Duration::ZERO)
        }
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the controller hands these over")]
fn after_error<R: Record>(volume: Arc<PmemVolume>, error: &StepError, context: Arc<Context<R>>) -> Action {
    let name = volume.metadata.name.as_deref().unwrap_or_default();
    let delay = context.delays.failed(&volume);
    tracing::debug!(volume = name, reason = error.reason(), ?delay, "will be repeated");
    Action::requeue(delay)
}
