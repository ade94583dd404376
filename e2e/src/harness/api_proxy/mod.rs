//! A proxy between our programs and the API server, through which a scenario decides what each of them sees, and when.
//!
//! Requests keep their credentials, so that the API server answers as if nobody were between; each program has a port of its
//! own, by which it is told from the others. Until a scenario says otherwise, everything passes as it comes.
//!
//! | Sieve's pattern | what a scenario does |
//! | --- | --- |
//! | intermediate state | [`Caller::hold_write`], then it kills the program |
//! | unobserved state | [`Caller::freeze`], then [`Caller::lose`]: what happened meanwhile is in no event, only in the next list |
//! | stale state | [`Caller::record`], later [`Caller::live_in`], then it starts the program again |

mod answers;
mod asked;
mod caller;
mod forward;
mod gates;
mod lists;
mod relay;
mod watches;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum_server::tls_rustls::RustlsConfig;
use tokio::task::JoinHandle;

use super::cluster::part::Part;
use super::cluster::pki::{Pki, Subject};
use super::sandbox::{GATEWAY, Sandbox};
use super::{client, listen};

pub(crate) use asked::{Asked, Verb};
pub(crate) use caller::Caller;
pub(crate) use gates::{HeldWrite, When};
pub(crate) use lists::Past;

/// One listener for each of our programs. It ends when this is dropped.
pub(crate) struct ApiProxy {
    callers: Vec<(Part, Arc<Caller>)>,
    servers: Vec<JoinHandle<()>>,
}

impl ApiProxy {
    /// Listens where nodes and pods reach the API server as well, with a certificate that all trust who trust its own.
    pub(crate) async fn start(sandbox: &Sandbox, pki: &Pki) -> Result<Self> {
        let identity = pki.issue(&Subject::server("api-proxy", vec![GATEWAY.to_string()]))?;
        let (certificate, key) = (identity.certificate.into_bytes(), identity.key.into_bytes());
        let tls = RustlsConfig::from_pem(certificate, key).await?;
        let upstream = format!("https://{}", sandbox.address_from_host());
        let mut proxy = Self {
            callers: Vec::new(),
            servers: Vec::new(),
        };
        for part in Part::ALL {
            let caller = Arc::new(Caller::new(client::forwarding(&upstream, pki.certificate())?));
            let listener = listen::inside(sandbox, SocketAddr::from((GATEWAY, part.proxy_port())))?;
            let server = axum_server::from_tcp_rustls(listener, tls.clone()).context("serving TLS")?;
            let app = Router::new().fallback(forward::forward).with_state(Arc::clone(&caller));
            proxy.callers.push((part, caller));
            proxy.servers.push(tokio::spawn(async move {
                if let Err(error) = server.serve(app.into_make_service()).await {
                    tracing::warn!("the proxy for {} ended: {error}", part.name());
                }
            }));
        }
        Ok(proxy)
    }

    /// What a program sees of the cluster.
    pub(crate) fn caller(&self, part: Part) -> Result<Arc<Caller>> {
        let found = self.callers.iter().find(|(of, _)| *of == part);
        let (_, caller) = found.with_context(|| format!("no port for {}", part.name()))?;
        Ok(Arc::clone(caller))
    }
}

impl Drop for ApiProxy {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}
