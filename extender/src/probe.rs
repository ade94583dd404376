//! What `daxfit-extender probe` asks. The kubelet cannot show a client certificate, so it runs this in the container.

use std::net::SocketAddr;

use http::{Method, StatusCode};

use crate::client::{CallError, ExtenderClient};
use crate::tls::{TlsDirectory, TlsError, client_config};

/// The extender is not ready.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// There is no client certificate: the extender has not made it yet, or the directory is another one.
    #[error("no client certificate")]
    Tls(#[from] TlsError),
    /// It does not respond.
    #[error("no answer from {0}")]
    Call(SocketAddr, #[source] CallError),
    /// It responds, and names what it is waiting for.
    #[error("{status}: {text}")]
    NotReady {
        /// 503 as long as not everything was listed.
        status: StatusCode,
        /// The body of its response.
        text: String,
    },
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether it answers at all. One that does not costs every pod of the cluster a second.
    IsAlive,
    /// Whether it has listed what it decides by.
    IsReady,
}

/// Asks the extender on `server`.
///
/// # Errors
/// It does not respond, or is not ready.
pub async fn probe(server: SocketAddr, directory: &TlsDirectory, question: Question) -> Result<(), ProbeError> {
    let client = ExtenderClient::new(server, client_config(directory)?);
    let path = match question {
        Question::IsAlive => "/healthz",
        Question::IsReady => "/readyz",
    };
    let answer = client.call(Method::GET, path, "").await;
    let (status, text) = answer.map_err(|error| ProbeError::Call(server, error))?;
    if status.is_success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    Err(ProbeError::NotReady { status, text })
}
