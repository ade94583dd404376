//! The certificates on both ends of a call.
//!
//! The server shows one for 127.0.0.1 and localhost and answers only clients that have one of the same authority. All of
//! them are in one directory of the host, where kube-scheduler finds its own: `ca.crt`, `client.crt`, `client.key`.

mod config;
mod directory;
mod generate;
mod plan;
mod renew;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use config::{client_config, server_config};
pub use directory::TlsDirectory;
pub use renew::renew_certificates;

/// Why there are no certificates to work with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("cannot {what} {path}")]
    Io {
        /// "read", "write", …
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file has no certificate or no key in it.
    #[error("{path} is not a PEM file with a {what}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// "certificate" or "private key".
        what: &'static str,
        /// What is wrong with it.
        source: rustls::pki_types::pem::Error,
    },
    /// Some of the files of an administrator are there, others are not.
    #[error(
        "{directory} has certificates that the extender did not make, but no {missing}: add it, or remove all files and let the extender make them"
    )]
    Incomplete {
        /// The directory.
        directory: PathBuf,
        /// The file.
        missing: &'static str,
    },
    /// A certificate cannot be made.
    #[error("cannot make a certificate")]
    Generate(#[from] rcgen::Error),
    /// The authority in `ca.crt` is of no use.
    #[error("ca.crt cannot be used to check clients")]
    Authority(#[from] rustls::server::VerifierBuilderError),
    /// The certificates do not go together.
    #[error("the certificates cannot be used")]
    Rustls(#[from] rustls::Error),
}
