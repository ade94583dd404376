//! What the calls are answered from.

use std::sync::RwLockReadGuard;
use std::time::Duration;

use cluster::{Pod, ReadObjects};
use tokio::time::timeout;

use super::WebhookError;
use super::api_server::{ObjectReader, read_missing};
use crate::decide::{NodeChoice, PreparedRequirements};
use crate::state::{SharedState, State};

/// kube-scheduler gives up after 5 s, unless told otherwise: nobody waits for an answer after that.
pub const TIME_LIMIT: Duration = Duration::from_secs(5);

/// What the calls are answered from.
#[derive(Debug)]
pub struct Webhook<R> {
    /// What the cluster shows, and what is reserved.
    pub state: SharedState,
    /// Where claims and classes are read from that the watches do not show yet.
    pub reader: R,
    /// Which nodes pass the filter, and how many.
    pub choice: NodeChoice,
    /// How long a request may take to arrive, and the API server to answer: see [`TIME_LIMIT`].
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

    /// Waits for the API server, for [`Webhook::time_limit`] at most.
    pub(super) async fn with_time_limit<T>(
        &self,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, WebhookError> {
        let answered = timeout(self.time_limit, call).await;
        Ok(answered.map_err(|_| WebhookError::SlowApiServer(self.time_limit))??)
    }

    /// What the pod requires, and the state that this follows from. What is missing is read from the API server: claims first,
    /// then perhaps their classes.
    pub(super) async fn requirements(
        &self,
        pod: &Pod,
        read: &mut ReadObjects,
    ) -> Result<(RwLockReadGuard<'_, State>, PreparedRequirements), WebhookError> {
        loop {
            let missing = {
                let state = self.synced()?;
                match PreparedRequirements::of(pod, state.index(), read) {
                    Ok(requirements) => return Ok((state, requirements)),
                    Err(missing) => missing,
                }
            };
            self.with_time_limit(read_missing(&self.reader, missing, read)).await?;
        }
    }
}
