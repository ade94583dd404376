//! What rustls needs to know on either end.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::directory::{CA, CLIENT, CLIENT_KEY, SERVER, SERVER_KEY};
use super::{TlsDirectory, TlsError};

/// For a server that answers only clients with a certificate of the authority in `ca.crt`. Blocks on files.
///
/// HTTP/1.1 only. kube-scheduler offers HTTP/2 as well (`SetTransportDefaults` of k8s.io/apimachinery) and takes what the
/// server chooses. It has at most a few calls under way, each with 100 KB and more for 5,000 nodes: frames and their
/// windows would only add to that, and answers of known length keep the connections.
///
/// # Errors
/// A file is missing or is not PEM, or a certificate does not belong to its key: the error names the file.
pub fn server_config(directory: &TlsDirectory) -> Result<ServerConfig, TlsError> {
    let clients = WebPkiClientVerifier::builder_with_provider(authorities(directory)?.into(), provider()).build()?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_single_cert(directory.certificates(SERVER)?, directory.key(SERVER_KEY)?)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// For a client that shows `client.crt`. Blocks on files.
///
/// # Errors
/// A file is missing or is not PEM, or a certificate does not belong to its key: the error names the file.
pub fn client_config(directory: &TlsDirectory) -> Result<ClientConfig, TlsError> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(authorities(directory)?)
        .with_client_auth_cert(directory.certificates(CLIENT)?, directory.key(CLIENT_KEY)?)?;
    Ok(config)
}

pub(super) fn authorities(directory: &TlsDirectory) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in directory.certificates(CA)? {
        roots.add(authority)?;
    }
    Ok(roots)
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
