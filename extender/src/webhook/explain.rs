//! `GET /v1/explain`: for people and tools, never for kube-scheduler.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use cluster::{ObjectKey, ReadObjects};
use serde::Deserialize;

use super::{ObjectReader, Webhook, WebhookError};
use crate::decide::{PodExplanation, explain};

/// The query: both are needed.
#[derive(Debug, Deserialize)]
pub(super) struct WhichPod {
    namespace: String,
    pod: String,
}

/// Says why each node holds the pod or does not, as a filter call at this moment would, and reserves nothing.
pub(super) async fn explain_pod<R: ObjectReader>(
    State(webhook): State<Arc<Webhook<R>>>,
    pod: Result<Query<WhichPod>, QueryRejection>,
) -> Result<Json<PodExplanation>, WebhookError> {
    let Query(which) = pod.map_err(|_| WebhookError::WhichPod)?;
    if which.namespace.is_empty() || which.pod.is_empty() {
        return Err(WebhookError::WhichPod);
    }
    let key = ObjectKey::new(&which.namespace, &which.pod);
    let deadline = webhook.deadline();
    let pod = webhook.read_until(deadline, webhook.reader.pod(&key)).await?;
    let pod = pod.ok_or(WebhookError::NoSuchPod(key))?;
    let (state, mut requirements) = webhook
        .requirements(deadline, &pod, &mut ReadObjects::default())
        .await?;
    Ok(Json(explain(&state, webhook.choice.policy, &mut requirements)))
}
