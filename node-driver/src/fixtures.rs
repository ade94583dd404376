//! An API server that answers as a test scripts it.

use http::{Method, Request, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::Value;
use tower_test::mock::{Handle, pair};

/// The API server's end of a client.
pub(crate) struct ApiServer(Handle<Request<Body>, Response<Body>>);

/// A request that arrived.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) uri: String,
    pub(crate) body: Value,
}

impl ApiServer {
    /// A client, and the server that it talks to.
    pub(crate) fn new() -> (kube::Client, Self) {
        let (service, handle) = pair::<Request<Body>, Response<Body>>();
        (kube::Client::new(service, "default"), Self(handle))
    }

    /// Answers the next request with `status` and what `answer` makes of it.
    pub(crate) async fn answer(&mut self, status: u16, answer: impl FnOnce(&Asked) -> Value) -> Asked {
        let (request, respond) = self.0.next_request().await.expect("no request came");
        let (parts, body) = request.into_parts();
        let bytes = body.collect().await.expect("a request without body").to_bytes();
        let asked = Asked {
            method: parts.method,
            uri: parts.uri.to_string(),
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
        };
        let answer = serde_json::to_vec(&answer(&asked)).expect("an answer that is no JSON");
        let response = Response::builder().status(status).body(Body::from(answer));
        respond.send_response(response.expect("a response that cannot be built"));
        asked
    }

    /// Answers that there is no such object.
    pub(crate) async fn not_found(&mut self) -> Asked {
        let gone = serde_json::json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "not found", "reason": "NotFound", "code": 404,
        });
        self.answer(404, |_| gone).await
    }
}
