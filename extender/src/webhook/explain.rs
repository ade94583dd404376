//! `GET /v1/explain`: for people and tools, never for kube-scheduler.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;

use super::{Lookup, Webhook, WebhookError};
use crate::decide::{Found, PodExplanation, explain};
use crate::index::ObjectKey;

/// Which pod to explain.
#[derive(Debug, Deserialize)]
pub struct Asked {
    namespace: String,
    pod: String,
}

/// Says why each node holds the pod or does not, as a filter call at this moment would, and promises nothing.
///
/// # Errors
/// If there is no such pod, or it cannot be known yet what the answer is.
pub async fn explain_pod<L: Lookup>(
    State(webhook): State<Arc<Webhook<L>>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<PodExplanation>, WebhookError> {
    let Query(asked) = asked.map_err(|_| WebhookError::WhichPod)?;
    if asked.namespace.is_empty() || asked.pod.is_empty() {
        return Err(WebhookError::WhichPod);
    }
    let key = ObjectKey::new(&asked.namespace, &asked.pod);
    let pod = webhook.patiently(webhook.lookup.pod(&key)).await?;
    let pod = pod.ok_or(WebhookError::NoSuchPod(key))?;
    let (index, mut needs) = webhook.needs(&pod, &mut Found::default()).await?;
    Ok(Json(explain(&index, webhook.offering.policy, &mut needs)))
}
