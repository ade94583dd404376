//! The body of a request, which a slow client may not hold back for ever.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use super::{ObjectReader, Webhook, WebhookError};

/// The whole body of a request: 408 if it does not arrive in time, 413 if it is too large.
#[derive(Debug)]
pub struct WholeBody(pub Bytes);

impl<R: ObjectReader> FromRequest<Arc<Webhook<R>>> for WholeBody {
    type Rejection = Response;

    async fn from_request(request: Request, webhook: &Arc<Webhook<R>>) -> Result<Self, Response> {
        let body = timeout(webhook.time_limit, Bytes::from_request(request, webhook)).await;
        let body = body.map_err(|_| WebhookError::SlowClient(webhook.time_limit).into_response())?;
        body.map(Self).map_err(IntoResponse::into_response)
    }
}
