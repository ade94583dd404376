//! What goes wrong with a call, as kube-scheduler sees it.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use cluster::ObjectKey;
use http::StatusCode;

use super::extender_args::DecodeError;
use crate::state::Kind;

/// A call that is not answered. kube-scheduler then goes on without the extender if it is `ignorable`, or else tries the
/// pod again later.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// 400: the scheduler's configuration does not fit, or the caller is not kube-scheduler.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// 503: these kinds were not listed since the start. It goes away by itself, or the watches fail, as the log says.
    #[error("not ready: still listing {}", names(.0))]
    NotSynced(Vec<Kind>),
    /// 503: something that the watches do not show yet cannot be read.
    #[error("the API server could not be asked for the pod, or for a claim or a class of it")]
    Lookup(#[from] kube::Error),
    /// 408: the body did not arrive.
    #[error("the request did not arrive within {} s", .0.as_secs_f32())]
    SlowClient(Duration),
    /// 503: the API server did not answer when something was read that the watches do not show yet.
    #[error("the API server did not answer within {} s", .0.as_secs_f32())]
    SlowApiServer(Duration),
    /// 400: `namespace` or `pod` is missing in the query.
    #[error("say which pod: /v1/explain?namespace=NAMESPACE&pod=NAME")]
    WhichPod,
    /// 404: there is no such pod to explain.
    #[error("there is no pod {0}")]
    NoSuchPod(ObjectKey),
}

impl WebhookError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Decode(_) | Self::WhichPod => StatusCode::BAD_REQUEST,
            Self::NoSuchPod(_) => StatusCode::NOT_FOUND,
            Self::SlowClient(_) => StatusCode::REQUEST_TIMEOUT,
            Self::NotSynced(_) | Self::Lookup(_) | Self::SlowApiServer(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// kube-scheduler shows the status only, so the text is logged here as well.
impl IntoResponse for WebhookError {
    fn into_response(self) -> Response {
        let text = program::chain(&self);
        tracing::warn!(status = self.status().as_u16(), "{text}");
        (self.status(), text).into_response()
    }
}

fn names(kinds: &[Kind]) -> String {
    let names: Vec<String> = kinds.iter().map(Kind::to_string).collect();
    names.join(", ")
}
