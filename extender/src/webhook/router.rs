//! Which call goes where.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::CONTENT_TYPE;

use super::body::Whole;
use super::explain::explain_pod;
use super::{Lookup, WebhookError};
use crate::decide::Offering;
use crate::index::SharedIndex;

/// A pod is at most 1.5 MiB (the limit of etcd), a node name at most 253 bytes: room for more than 50,000 candidates.
const LARGEST_REQUEST: usize = 16 << 20;

/// kube-scheduler gives up after 5 s, unless told otherwise: nobody waits for an answer after that.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// What the calls are answered from.
#[derive(Debug)]
pub struct Webhook<L> {
    /// What the cluster looks like.
    pub index: SharedIndex,
    /// Whom to ask for what the index does not have yet.
    pub lookup: L,
    /// Which nodes are offered, and how many.
    pub offering: Offering,
    /// How long a request may take to arrive, and the API server to answer: see [`PATIENCE`].
    pub patience: Duration,
}

/// `POST /filter` and `POST /prioritize` for kube-scheduler, `GET /v1/explain?namespace=&pod=` for people and tools,
/// `GET /healthz` and `GET /readyz` for probes.
pub fn router<L: Lookup>(webhook: Webhook<L>) -> Router {
    Router::new()
        .route("/filter", post(filter))
        .route("/prioritize", post(prioritize))
        .route("/v1/explain", get(explain_pod))
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(readyz))
        .layer(DefaultBodyLimit::max(LARGEST_REQUEST))
        .with_state(Arc::new(webhook))
}

async fn filter<L: Lookup>(
    State(webhook): State<Arc<Webhook<L>>>,
    Whole(body): Whole,
) -> Result<Response, WebhookError> {
    webhook.filter(&body).await.map(json)
}

async fn prioritize<L: Lookup>(
    State(webhook): State<Arc<Webhook<L>>>,
    Whole(body): Whole,
) -> Result<Response, WebhookError> {
    webhook.prioritize(&body).await.map(json)
}

async fn readyz<L: Lookup>(State(webhook): State<Arc<Webhook<L>>>) -> Result<&'static str, WebhookError> {
    webhook.synced().map(|_| "ok")
}

fn json(answer: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], answer).into_response()
}
