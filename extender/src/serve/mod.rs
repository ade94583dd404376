//! The server: mutual TLS, certificates that are renewed under way, and an orderly end.

mod read_buffer;
#[cfg(test)]
mod tests;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioTimer;
use jiff::Timestamp;
use rustls::ServerConfig;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use read_buffer::WithReadBuffer;

use crate::tls::{TlsDirectory, TlsError, renew_certificates, server_config};

/// How often the certificates are read again.
const RELOAD_INTERVAL: Duration = Duration::from_secs(60);
/// How long a connection may be without a whole request header. The client of kube-scheduler closes connections that are
/// idle for 90 s; closing them earlier on this side would make it send requests into closed connections.
const IDLE: Duration = Duration::from_secs(120);
/// How long calls that are under way may take when the server ends: kube-scheduler gives up before that.
const GRACE: Duration = Duration::from_secs(5);

/// Why there is no server, or none any more.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// There are no certificates, and none could be made.
    #[error("no certificates")]
    Tls(#[from] TlsError),
    /// The address is taken, or is not one of this host.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// The listening socket cannot be used.
    #[error("the server broke")]
    Serve(#[source] std::io::Error),
}

/// A server that has certificates and a port, but does not answer yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    directory: TlsDirectory,
    tls: RustlsConfig,
    reload_interval: Duration,
}

impl Server {
    /// Makes or reads the certificates in `directory` and listens on `address`.
    ///
    /// # Errors
    /// [`ServeError::Tls`] if there are no usable certificates, [`ServeError::Listen`] if the port is taken.
    pub async fn bind(address: SocketAddr, directory: TlsDirectory) -> Result<Self, ServeError> {
        let config = load(directory.clone()).await?;
        let listen = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = listen().map_err(|error| ServeError::Listen(address, error))?;
        Ok(Self {
            listener,
            address,
            directory,
            tls: RustlsConfig::from_config(config),
            reload_interval: RELOAD_INTERVAL,
        })
    }

    /// Reads the certificates again this often instead of once a minute.
    #[must_use]
    pub fn reload_interval(mut self, interval: Duration) -> Self {
        self.reload_interval = interval;
        self
    }

    /// The address it listens on, with the real port if 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`, then finishes the calls that are under way.
    ///
    /// # Errors
    /// [`ServeError::Serve`] if the socket cannot be used; errors of single connections end only these.
    pub async fn run(self, app: Router, stop: CancellationToken) -> Result<(), ServeError> {
        let handle = Handle::new();
        let acceptor = RustlsAcceptor::new(self.tls.clone()).acceptor(WithReadBuffer);
        let mut server = axum_server::from_tcp(self.listener)
            .map_err(ServeError::Serve)?
            .acceptor(acceptor)
            .handle(handle.clone())
            .http1_only();
        let mut http = server.http_builder().http1();
        http.timer(TokioTimer::new()).header_read_timeout(IDLE);
        let ending = async {
            stop.cancelled().await;
            handle.graceful_shutdown(Some(GRACE));
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = server.serve(app.into_make_service()) => ended.map_err(ServeError::Serve),
            () = keep_renewing(&self.directory, &self.tls, self.reload_interval) => Ok(()),
            () = ending => Ok(()),
        }
    }
}

/// Renews certificates before they end, and uses those that an administrator exchanged. Never returns.
async fn keep_renewing(directory: &TlsDirectory, tls: &RustlsConfig, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        match load(directory.clone()).await {
            Ok(config) => tls.reload_from_config(config),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "certificates cannot be renewed; going on with the old ones"
                );
            }
        }
    }
}

async fn load(directory: TlsDirectory) -> Result<Arc<ServerConfig>, TlsError> {
    let load = move || {
        renew_certificates(&directory, Timestamp::now())?;
        server_config(&directory).map(Arc::new)
    };
    match spawn_blocking(load).await {
        Ok(config) => config,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
