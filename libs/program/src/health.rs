//! Health over plain HTTP: for the kubelet's probes, and for whoever watches the cluster.
//!
//! ```no_run
//! # async fn example(stop: tokio_util::sync::CancellationToken) -> Result<(), program::health::HealthError> {
//! let routes = program::health::routes(async || Err("still listing nodes".to_owned()));
//! program::health::serve(([127, 0, 0, 1], 8080).into(), routes, stop).await
//! # }
//! ```
//!
//! Metrics belong on the same listener: a route `/metrics` that is added to those from [`routes`].

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// `GET /healthz`, which is always 200: the process answers; and `GET /readyz`, which is 200 if `ready` is `Ok`, or else
/// 503 with the reason as text.
pub fn routes<R, F>(ready: R) -> Router
where
    R: Fn() -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let readyz = async move || match ready().await {
        Ok(()) => (StatusCode::OK, "ok".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason),
    };
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(readyz))
}

/// Nothing is served over HTTP: the address is taken or is none of this host, or no connection can be accepted any more.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve HTTP on {address}")]
pub struct HealthError {
    /// The address.
    pub address: SocketAddr,
    #[source]
    source: io::Error,
}

/// Serves `routes` on `address` until `stop`, then finishes the requests that are under way.
///
/// # Errors
/// The address cannot be served: end the program, so that it is started anew.
pub async fn serve(address: SocketAddr, routes: Router, stop: CancellationToken) -> Result<(), HealthError> {
    let served = async {
        let listener = TcpListener::bind(address).await?;
        let server = axum::serve(listener, routes);
        server.with_graceful_shutdown(stop.cancelled_owned()).await
    };
    served.await.map_err(|source| HealthError { address, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    async fn call(routes: &Router, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = routes.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn healthy_from_the_start_and_ready_later() {
        let synced = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&synced);
        let routes = routes(move || {
            let ready = seen.load(Ordering::Relaxed);
            async move { ready.then_some(()).ok_or_else(|| "still listing nodes".to_owned()) }
        });
        assert_eq!(call(&routes, "/healthz").await, (StatusCode::OK, "ok".into()));
        let (status, reason) = call(&routes, "/readyz").await;
        assert_eq!(
            (status, &*reason),
            (StatusCode::SERVICE_UNAVAILABLE, "still listing nodes")
        );
        synced.store(true, Ordering::Relaxed);
        assert_eq!(call(&routes, "/readyz").await, (StatusCode::OK, "ok".into()));
        assert_eq!(call(&routes, "/metrics").await.0, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn ends_when_told() {
        let (stop, any) = (CancellationToken::new(), ([127, 0, 0, 1], 0).into());
        let server = tokio::spawn(serve(any, routes(async || Ok(())), stop.clone()));
        stop.cancel();
        server.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_named() {
        let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let taken = first.local_addr().unwrap();
        let refused = serve(taken, routes(async || Ok(())), CancellationToken::new()).await;
        assert!(refused.unwrap_err().to_string().contains(&taken.to_string()));
    }
}
