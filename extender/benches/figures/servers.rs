//! The extender, and an echo with the same TLS and HTTP.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{self, DefaultBodyLimit};
use axum::routing::post;
use extender::decide::NodeChoice;
use extender::serve::Server;
use extender::state::State;
use extender::tls::{TlsDirectory, client_config};
use extender::webhook::{TIME_LIMIT, Webhook, router};
use placement::Policy;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::caller::Caller;
use crate::cluster::NoApiServer;

/// Both, in the runtime that the extender has.
pub struct Servers {
    /// What the echo will answer.
    pub echo: Echo,
    extender_at: SocketAddr,
    echo_at: SocketAddr,
    certificates: TempDir,
    runtime: Runtime,
    running: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
}

/// What the echo will answer.
#[derive(Clone, Default)]
pub struct Echo(Arc<Mutex<Bytes>>);

impl Echo {
    /// It will answer this.
    pub fn prepare(&self, answer: &[u8]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Bytes::copy_from_slice(answer);
    }

    fn answer(&self) -> Bytes {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Servers {
    /// Starts an extender with this state, and the echo.
    pub fn start(state: State) -> anyhow::Result<Self> {
        let runtime = Runtime::new()?;
        let (certificates, stop, echo) = (tempfile::tempdir()?, CancellationToken::new(), Echo::default());
        let mut running = JoinSet::new();
        let extender = router(Webhook {
            state: state.into(),
            reader: NoApiServer,
            choice: NodeChoice {
                policy: Policy::Pack,
                candidates: 8,
            },
            time_limit: TIME_LIMIT,
        });
        let mut serve = |app: Router| {
            let directory = TlsDirectory::new(certificates.path());
            let server = runtime.block_on(Server::bind(([127, 0, 0, 1], 0).into(), directory))?;
            let (address, stop) = (server.address(), stop.clone());
            running.spawn_on(async move { Ok(server.run(app, stop).await?) }, runtime.handle());
            anyhow::Ok(address)
        };
        Ok(Self {
            extender_at: serve(extender)?,
            echo_at: serve(echoing(echo.clone()))?,
            echo,
            certificates,
            runtime,
            running,
            stop,
        })
    }

    /// A connection to the extender.
    pub fn call_extender(&self) -> anyhow::Result<Caller> {
        self.call(self.extender_at)
    }

    /// A connection to the echo.
    pub fn call_echo(&self) -> anyhow::Result<Caller> {
        self.call(self.echo_at)
    }

    fn call(&self, server: SocketAddr) -> anyhow::Result<Caller> {
        let config = client_config(&TlsDirectory::new(self.certificates.path()))?;
        Caller::connect(server, config)
    }

    /// Stops both.
    pub fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        let ended = self.runtime.block_on(self.running.join_all());
        ended.into_iter().collect()
    }
}

fn echoing(echo: Echo) -> Router {
    let answer = async |extract::State(echo): extract::State<Echo>, _request: Bytes| echo.answer();
    Router::new()
        .route("/{call}", post(answer))
        .layer(DefaultBodyLimit::disable())
        .with_state(echo)
}
