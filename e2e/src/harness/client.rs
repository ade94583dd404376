//! HTTP clients: of the API server, and of the health endpoints of programs.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use http::Request;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rustls::pki_types::{CertificateDer, pem::PemObject};

/// A client with the address and the identity of a kubeconfig.
pub(crate) async fn of_kubeconfig(file: &Path) -> Result<Client> {
    let read = Kubeconfig::read_from(file).context("reading the kubeconfig")?;
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// A client without credentials, for a server whose certificate, if it has one, is signed by `authority` (PEM).
pub(crate) fn anonymous(url: &str, authority: Option<&str>) -> Result<Client> {
    let mut config = Config::new(url.parse()?);
    config.root_cert = authority
        .map(|pem| Ok::<_, anyhow::Error>(vec![pem_to_der(pem)?]))
        .transpose()?;
    Ok(Client::try_from(config)?)
}

/// A client that passes on requests with whatever credentials they have, each once.
pub(crate) fn forwarding(url: &str, authority: &str) -> Result<Client> {
    let mut config = Config::new(url.parse()?);
    config.root_cert = Some(vec![pem_to_der(authority)?]);
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

/// The text at `path`. Any answer but success is an error.
pub(crate) async fn get(client: &Client, path: &str) -> Result<String> {
    let request = Request::get(path).body(Vec::new())?;
    Ok(client.request_text(request).await?)
}

/// The bytes at `path`. Any answer but success is an error.
pub(crate) async fn get_bytes(client: &Client, path: &str) -> Result<Vec<u8>> {
    let answer = client.send(Request::get(path).body(Body::empty())?).await?;
    ensure!(answer.status().is_success(), "{path}: {}", answer.status());
    Ok(answer.into_body().collect_bytes().await?.to_vec())
}

/// The bytes of a certificate.
pub(crate) fn pem_to_der(pem: &str) -> Result<Vec<u8>> {
    Ok(CertificateDer::from_pem_slice(pem.as_bytes())?.to_vec())
}
