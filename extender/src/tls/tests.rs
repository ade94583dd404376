use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use http::Method;
use jiff::{SignedDuration, Timestamp};
use rustls::ClientConfig;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::config::{authorities, provider};
use super::directory::{CA, CLIENT, CLIENT_KEY, GENERATED_CA_KEY, SERVER, SERVER_KEY};
use super::*;
use crate::client::{CallError, ExtenderClient};
use crate::serve::{ServeError, Server};

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn contents(path: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|file| file.unwrap())
        .map(|file| {
            (
                file.file_name().into_string().unwrap(),
                fs::read_to_string(file.path()).unwrap(),
            )
        })
        .collect();
    files.sort();
    files
}

#[test]
fn makes_everything_once() {
    let dir = tempfile::tempdir().unwrap();
    let directory = TlsDirectory::new(dir.path().join("new"));
    let now = Timestamp::now();
    assert!(renew_certificates(&directory, now).unwrap());
    let before = contents(directory.path());
    assert!(!renew_certificates(&directory, now).unwrap());
    assert_eq!(contents(directory.path()), before);
    for key in [GENERATED_CA_KEY, SERVER_KEY, CLIENT_KEY] {
        let mode = fs::metadata(directory.path().join(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
}

#[test]
fn renews_before_the_end_and_keeps_the_keys() {
    let dir = tempfile::tempdir().unwrap();
    let directory = TlsDirectory::new(dir.path());
    let start = Timestamp::now();
    renew_certificates(&directory, start).unwrap();
    let read = |name| directory.read(name).unwrap().unwrap();
    let (ca, client, key) = (read(CA), read(CLIENT), read(CLIENT_KEY));
    assert!(renew_certificates(&directory, start + DAY * 340).unwrap());
    assert_ne!(read(CLIENT), client);
    assert_eq!((read(CA), read(CLIENT_KEY)), (ca.clone(), key.clone()));

    assert!(renew_certificates(&directory, start + DAY * 3600).unwrap());
    assert_ne!(read(CA), ca);
    assert_eq!(read(CLIENT_KEY), key);
    server_config(&directory).unwrap();
    client_config(&directory).unwrap();
}

#[test]
fn a_damaged_leaf_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let directory = TlsDirectory::new(dir.path());
    let now = Timestamp::now();
    renew_certificates(&directory, now).unwrap();
    for (name, text) in [(SERVER, "half a file"), (CLIENT_KEY, "")] {
        fs::write(dir.path().join(name), text).unwrap();
        assert!(renew_certificates(&directory, now).unwrap(), "{name}");
        server_config(&directory).unwrap();
        client_config(&directory).unwrap();
    }
}

#[test]
fn files_of_an_administrator_are_used_and_never_written() {
    let dir = tempfile::tempdir().unwrap();
    let directory = TlsDirectory::new(dir.path());
    let now = Timestamp::now();
    renew_certificates(&directory, now).unwrap();
    fs::remove_file(dir.path().join(GENERATED_CA_KEY)).unwrap();
    fs::remove_file(dir.path().join(CLIENT)).unwrap();
    let before = contents(dir.path());
    assert!(!renew_certificates(&directory, now + DAY * 360).unwrap());
    assert_eq!(contents(dir.path()), before);

    fs::remove_file(dir.path().join(SERVER_KEY)).unwrap();
    let error = renew_certificates(&directory, now).unwrap_err().to_string();
    assert!(
        error.contains("no server.key: add it, or remove ca.crt, server.* and client.*"),
        "{error}"
    );
}

#[test]
fn an_administrators_file_that_makes_no_sense_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    for name in [CA, SERVER, SERVER_KEY] {
        fs::write(dir.path().join(name), "nonsense").unwrap();
    }
    let error = renew_certificates(&TlsDirectory::new(dir.path()), Timestamp::now()).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("ca.crt is not a PEM file with a certificate"),
        "{error}"
    );
}

struct Running {
    address: std::net::SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<Result<(), ServeError>>,
}

async fn start(directory: &TlsDirectory) -> Running {
    let server = Server::bind(([127, 0, 0, 1], 0).into(), directory.clone())
        .await
        .unwrap();
    let address = server.address();
    let app = axum::Router::new().route("/", axum::routing::get(async || "hello"));
    let stop = CancellationToken::new();
    let task = tokio::spawn(server.run(app, stop.clone()));
    Running { address, stop, task }
}

async fn hello(server: &Running, tls: ClientConfig) -> Result<String, CallError> {
    let client = ExtenderClient::new(server.address, tls);
    let (_, body) = client.call(Method::GET, "/", "").await?;
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn only_clients_of_the_authority_are_answered() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (ours, theirs) = (TlsDirectory::new(dir.path()), TlsDirectory::new(other.path()));
    renew_certificates(&theirs, Timestamp::now()).unwrap();
    let server = start(&ours).await;
    assert_eq!(hello(&server, client_config(&ours).unwrap()).await.unwrap(), "hello");

    let trusting = || {
        ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(authorities(&ours).unwrap())
    };
    assert!(
        hello(&server, trusting().with_no_client_auth()).await.is_err(),
        "no certificate"
    );
    let with = |dir: &TlsDirectory, crt, key| {
        trusting()
            .with_client_auth_cert(dir.certificates(crt).unwrap(), dir.key(key).unwrap())
            .unwrap()
    };
    assert!(
        hello(&server, with(&theirs, CLIENT, CLIENT_KEY)).await.is_err(),
        "of another authority"
    );
    assert!(
        hello(&server, with(&ours, SERVER, SERVER_KEY)).await.is_err(),
        "not made for clients"
    );
    assert!(
        hello(&server, client_config(&theirs).unwrap()).await.is_err(),
        "trusts another authority"
    );

    server.stop.cancel();
    server.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let directory = TlsDirectory::new(dir.path());
    let server = start(&directory).await;
    let error = Server::bind(server.address, directory).await.err().unwrap();
    assert_eq!(error.to_string(), format!("cannot listen on {}", server.address));
    server.stop.cancel();
    server.task.await.unwrap().unwrap();
}
