//! An API server that responds as a test scripts it.

use http::{Method, Request, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::Value;
use tower_test::mock::{Handle, pair};

/// The API server's end of a client.
pub(crate) struct ApiServer(Handle<Request<Body>, Response<Body>>);

/// A request that arrived.
#[derive(Debug)]
pub(crate) struct ReceivedRequest {
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

    /// Responds to the next request with `status` and the `body` for it.
    pub(crate) async fn respond(
        &mut self,
        status: u16,
        body: impl FnOnce(&ReceivedRequest) -> Value,
    ) -> ReceivedRequest {
        let (request, response) = self.0.next_request().await.expect("no request came");
        let (parts, sent) = request.into_parts();
        let bytes = sent.collect().await.expect("a request without body").to_bytes();
        let received = ReceivedRequest {
            method: parts.method,
            uri: parts.uri.to_string(),
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
        };
        let body = serde_json::to_vec(&body(&received)).expect("a body that is no JSON");
        let built = Response::builder().status(status).body(Body::from(body));
        response.send_response(built.expect("a response that cannot be built"));
        received
    }

    /// Responds that there is no such object.
    pub(crate) async fn not_found(&mut self) -> ReceivedRequest {
        let gone = serde_json::json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "not found", "reason": "NotFound", "code": 404,
        });
        self.respond(404, |_| gone).await
    }
}
