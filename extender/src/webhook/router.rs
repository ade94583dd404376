//! Which call goes where.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::CONTENT_TYPE;

use super::body::WholeBody;
use super::explain::explain_pod;
use super::{ObjectReader, Webhook, WebhookError};

/// A pod is at most 1.5 MiB (the limit of etcd), a node name at most 253 bytes: room for more than 50,000 candidates.
const LARGEST_REQUEST: usize = 16 << 20;

/// `POST /filter`, `POST /prioritize` and `POST /preempt` for kube-scheduler, `GET /v1/explain?namespace=&pod=` for people and tools,
/// `GET /healthz` and `GET /readyz` for probes.
pub fn router<R: ObjectReader>(webhook: Webhook<R>) -> Router {
    let webhook = Arc::new(webhook);
    let readiness = Arc::clone(&webhook);
    let ready = move || {
        let synced = readiness.synced().map(drop);
        std::future::ready(synced.map_err(|error| program::chain(&error)))
    };
    Router::new()
        .route("/filter", post(filter))
        .route("/prioritize", post(prioritize))
        .route("/preempt", post(preempt))
        .route("/v1/explain", get(explain_pod))
        .layer(DefaultBodyLimit::max(LARGEST_REQUEST))
        .with_state(webhook)
        .merge(program::health::routes(ready))
}

async fn filter<R: ObjectReader>(
    State(webhook): State<Arc<Webhook<R>>>,
    WholeBody(body): WholeBody,
) -> Result<Response, WebhookError> {
    webhook.filter(&body).await.map(json)
}

async fn prioritize<R: ObjectReader>(
    State(webhook): State<Arc<Webhook<R>>>,
    WholeBody(body): WholeBody,
) -> Result<Response, WebhookError> {
    webhook.prioritize(&body).await.map(json)
}

async fn preempt<R: ObjectReader>(
    State(webhook): State<Arc<Webhook<R>>>,
    WholeBody(body): WholeBody,
) -> Result<Response, WebhookError> {
    webhook.preempt(&body).await.map(json)
}

fn json(text: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}
