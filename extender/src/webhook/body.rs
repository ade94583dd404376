//! The body of a request, which a slow client may not hold back for ever.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use super::{Lookup, Webhook, WebhookError};

/// The whole body of a request.
#[derive(Debug)]
pub struct Whole(pub Bytes);

impl<L: Lookup> FromRequest<Arc<Webhook<L>>> for Whole {
    type Rejection = Response;

    async fn from_request(request: Request, webhook: &Arc<Webhook<L>>) -> Result<Self, Response> {
        let body = timeout(webhook.patience, Bytes::from_request(request, webhook)).await;
        let body = body.map_err(|_| WebhookError::SlowClient(webhook.patience).into_response())?;
        body.map(Self).map_err(IntoResponse::into_response)
    }
}
