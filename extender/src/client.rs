//! Calls an extender as kube-scheduler does: over TLS, with a client certificate, on connections that are kept.

use std::net::SocketAddr;

use axum::body::{Body, Bytes};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;

/// A client of one extender.
#[derive(Clone, Debug)]
pub struct ExtenderClient {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    server: SocketAddr,
}

/// A call that has no whole response.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The path makes no valid URI.
    #[error("the request cannot be made")]
    Request(#[from] http::Error),
    /// The server is not there, or does not accept the certificate.
    #[error("the extender cannot be reached")]
    Connection(#[from] hyper_util::client::legacy::Error),
    /// The connection ended within the response.
    #[error("the response of the extender broke off")]
    Response(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ExtenderClient {
    /// For the extender that listens on `server`.
    #[must_use]
    pub fn new(server: SocketAddr, tls: ClientConfig) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .wrap_connector(tcp);
        Self {
            client: Client::builder(TokioExecutor::new()).build(https),
            server,
        }
    }

    /// Sends a request and reads the whole response, whatever its status.
    ///
    /// # Errors
    /// There is no response, or only a part of it: nothing is tried again.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Body>,
    ) -> Result<(StatusCode, Bytes), CallError> {
        let uri = format!("https://{}{path}", self.server);
        let request = Request::builder().method(method).uri(uri).body(body.into())?;
        let response = self.client.request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await;
        let body = body.map_err(|error| CallError::Response(error.into()))?;
        Ok((status, body.to_bytes()))
    }
}
