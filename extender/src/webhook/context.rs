//! What the calls are answered from.

use std::sync::RwLockReadGuard;
use std::time::Duration;

use cluster::{NotIndexed, Pod, ReadObjects};
use tokio::time::{Instant, timeout_at};

use super::WebhookError;
use super::api_server::{ObjectReader, read_missing};
use crate::decide::{NodeChoice, PreparedRequirements};
use crate::state::{SharedState, State};

/// Less than `httpTimeout` in our configuration of kube-scheduler: it gets to know that the API server does not answer, and not
/// that the extender does not. Nobody waits for an answer after that.
pub const TIME_LIMIT: Duration = Duration::from_millis(900);

/// What the calls are answered from.
#[derive(Debug)]
pub struct Webhook<R> {
    /// What the cluster shows, and what is reserved.
    pub state: SharedState,
    /// Where claims and classes are read from that the watches do not show yet.
    pub reader: R,
    /// Which nodes pass the filter, and how many.
    pub choice: NodeChoice,
    /// How long a request may take to arrive, and all that is read for it: see [`TIME_LIMIT`].
    pub time_limit: Duration,
}

impl<R: ObjectReader> Webhook<R> {
    /// The state, or [`WebhookError::NotSynced`] until every kind was listed once.
    pub(super) fn synced(&self) -> Result<RwLockReadGuard<'_, State>, WebhookError> {
        let state = self.state.read();
        if state.is_synced() {
            Ok(state)
        } else {
            Err(WebhookError::NotSynced(state.unlisted()))
        }
    }

    /// When the API server has to have answered a call that came now.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.time_limit
    }

    /// Waits for the API server, until the [`deadline`](Self::deadline) of the call.
    pub(super) async fn read_until<T>(
        &self,
        deadline: Instant,
        read: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, WebhookError> {
        let answered = timeout_at(deadline, read).await;
        Ok(answered.map_err(|_| WebhookError::SlowApiServer(self.time_limit))??)
    }

    /// What the pod requires, and the state that this follows from. What is missing is read from the API server: claims first,
    /// then perhaps their classes.
    pub(super) async fn requirements(
        &self,
        deadline: Instant,
        pod: &Pod,
        read: &mut ReadObjects,
    ) -> Result<(RwLockReadGuard<'_, State>, PreparedRequirements), WebhookError> {
        loop {
            let missing = {
                let state = self.synced()?;
                match PreparedRequirements::of(pod, &state, read) {
                    Ok(requirements) => return Ok((state, requirements)),
                    Err(missing) => missing,
                }
            };
            self.read(deadline, missing, read).await?;
        }
    }

    /// Adds what is missing to `read`.
    pub(super) async fn read(
        &self,
        deadline: Instant,
        missing: Vec<NotIndexed>,
        read: &mut ReadObjects,
    ) -> Result<(), WebhookError> {
        self.read_until(deadline, read_missing(&self.reader, missing, read))
            .await
    }
}
