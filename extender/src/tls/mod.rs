//! The certificates on both ends of a call.
//!
//! The server shows one for 127.0.0.1 and localhost and answers only clients that have one of the same authority. All of
//! them are in one directory of the host, where kube-scheduler finds its own: `ca.crt`, `client.crt`, `client.key`.

mod config;
mod directory;
mod error;
mod generate;
mod plan;
mod renew;
#[cfg(test)]
mod tests;

pub use config::{client_config, server_config};
pub use directory::TlsDirectory;
pub use error::TlsError;
pub use renew::renew_certificates;
