//! Hears about the volumes of this node and brings each of them forward.

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

use super::error::WorkError;
use super::patience::{LOOK_AGAIN, Patience};
use super::record::Record;
use super::worker::{Outcome, Worker};

/// Two events of one object within this time are one.
const TOGETHER: Duration = Duration::from_millis(5);

/// The watch on the volumes of one node.
pub struct Watch {
    controller: Controller<PmemVolume>,
    node: String,
}

struct Shared<R> {
    worker: Worker<R>,
    patience: Patience,
    node: String,
    advanced: Arc<Notify>,
}

impl Watch {
    /// A watch on the volumes of `node`. It begins with [`Watch::run`].
    #[must_use]
    pub fn new(client: kube::Client, node: &str) -> Self {
        let config = watcher::Config::default().fields(&format!("spec.node={node}"));
        let settings = kube::runtime::Config::default().debounce(TOGETHER);
        Self {
            controller: Controller::new(Api::all(client), config).with_config(settings),
            node: node.into(),
        }
    }

    /// The volumes, as far as heard.
    #[must_use]
    pub fn store(&self) -> Store<PmemVolume> {
        self.controller.store()
    }

    /// Brings every volume of the node forward with `worker` whenever its object or the devices change, until `stop`.
    /// Then it waits for the steps that are under way. `advanced` is notified whenever a volume may have come forward.
    pub async fn run<R: Record>(self, worker: Worker<R>, advanced: Arc<Notify>, stop: CancellationToken) {
        let devices_changed = WatchStream::from_changes(worker.layout.seen()).map(drop);
        let shared = Arc::new(Shared {
            worker,
            patience: Patience::default(),
            node: self.node,
            advanced,
        });
        self.controller
            .reconcile_all_on(devices_changed)
            .graceful_shutdown_on(async move { stop.cancelled().await })
            .run(reconcile, after_error, shared)
            .for_each(|_| std::future::ready(()))
            .await;
    }
}

async fn reconcile<R: Record>(volume: Arc<PmemVolume>, shared: Arc<Shared<R>>) -> Result<Action, WorkError> {
    // The watch asks for this node's volumes only; never trust that alone before writing to a device.
    if volume.spec.node != shared.node {
        return Ok(Action::await_change());
    }
    if let Some(wait) = shared.patience.wait(&volume) {
        return Ok(Action::requeue(wait));
    }
    let outcome = shared.worker.advance((*volume).clone()).await;
    shared.advanced.notify_one();
    Ok(match outcome? {
        Outcome::Settled | Outcome::Released => {
            shared.patience.succeeded(&volume);
            Action::await_change()
        }
        Outcome::Waiting => Action::requeue(LOOK_AGAIN),
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the controller hands these over")]
fn after_error<R: Record>(volume: Arc<PmemVolume>, error: &WorkError, shared: Arc<Shared<R>>) -> Action {
    let name = volume.metadata.name.as_deref().unwrap_or_default();
    let wait = shared.patience.failed(&volume, error.is_costly());
    tracing::debug!(volume = name, reason = error.reason(), ?wait, "will be repeated");
    Action::requeue(wait)
}
