//! What goes wrong with certificates.

use std::path::PathBuf;

/// Why there are no certificates to work with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written: mostly a matter of its permissions.
    #[error("cannot {what} {path}")]
    Io {
        /// "read", "write", …
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// A file has no certificate or no key in it.
    #[error("{path} is not a PEM file with a {what}")]
    Pem {
        /// Which file.
        path: PathBuf,
        /// "certificate" or "private key".
        what: &'static str,
        /// What is wrong with it.
        source: rustls::pki_types::pem::Error,
    },
    /// Some of the files of an administrator are there, others are not.
    #[error(
        "{directory} has certificates that the extender did not make, but no {missing}: add it, or remove ca.crt, server.* and client.* there, and the extender makes them"
    )]
    Incomplete {
        /// Where they are.
        directory: PathBuf,
        /// Which file is missing.
        missing: &'static str,
    },
    /// No certificate can be made for a key that is there: remove that key.
    #[error(
        "cannot make a certificate for a key that is there: remove ca.crt, server.* and client.*, and the extender makes them"
    )]
    Generate(#[from] rcgen::Error),
    /// No certificate in `ca.crt` can be an authority.
    #[error("ca.crt cannot be used to check clients")]
    Authority(#[from] rustls::server::VerifierBuilderError),
    /// A certificate does not belong to its key.
    #[error("the certificates cannot be used")]
    Rustls(#[from] rustls::Error),
}
