use std::sync::Arc;

use axum::routing::get;
use http::Method;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;
use crate::client::ExtenderClient;
use crate::tls::client_config;

/// For what has to happen some time.
const GENEROUS: Duration = Duration::from_secs(60);

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<Result<(), ServeError>>,
}

async fn start(directory: &TlsDirectory, app: Router) -> Running {
    let server = Server::bind(([127, 0, 0, 1], 0).into(), directory.clone())
        .await
        .unwrap();
    let server = server.reload_interval(Duration::from_millis(20));
    let (address, stop) = (server.address(), CancellationToken::new());
    let task = tokio::spawn(server.run(app, stop.clone()));
    Running { address, stop, task }
}

/// A client with the certificates that are in the directory now, on a connection of its own.
async fn says_hello(server: &Running, directory: &TlsDirectory) -> bool {
    let client = ExtenderClient::new(server.address, client_config(directory).unwrap());
    client
        .call(Method::GET, "/", "")
        .await
        .is_ok_and(|(status, _)| status.is_success())
}

#[tokio::test]
async fn certificates_that_were_exchanged_are_taken_up_without_a_restart() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (ours, old, new) = (dir.path(), other.path().join("old"), other.path().join("new"));
    let directory = TlsDirectory::new(ours);
    let server = start(&directory, Router::new().route("/", get(async || "hello"))).await;
    assert!(says_hello(&server, &directory).await);

    // An administrator exchanges the authority and all that it signed.
    std::fs::create_dir(&old).unwrap();
    for file in std::fs::read_dir(ours).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), old.join(file.file_name())).unwrap();
    }
    let (old, new) = (TlsDirectory::new(old), TlsDirectory::new(new));
    renew_certificates(&new, Timestamp::now()).unwrap();
    for file in std::fs::read_dir(new.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), ours.join(file.file_name())).unwrap();
    }
    let taken_up = async {
        while !says_hello(&server, &new).await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(GENEROUS, taken_up).await.unwrap();
    assert!(
        !says_hello(&server, &old).await,
        "the old authority is not trusted any more"
    );

    // Half a file is no reason to stop: the last good certificates stay.
    std::fs::write(ours.join("ca.crt"), "half a file").unwrap();
    std::fs::remove_file(ours.join("generated-ca.key")).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(says_hello(&server, &new).await);
    server.stop.cancel();
    server.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn calls_that_are_under_way_are_finished_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let directory = TlsDirectory::new(dir.path());
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let app = {
        let (begun, go_on) = (begun.clone(), go_on.clone());
        Router::new().route(
            "/",
            get(move || async move {
                begun.notify_one();
                go_on.notified().await;
                "finished"
            }),
        )
    };
    let server = start(&directory, app).await;
    let client = ExtenderClient::new(server.address, client_config(&directory).unwrap());
    let call = tokio::spawn(async move { client.call(Method::GET, "/", "").await });
    begun.notified().await;
    server.stop.cancel();
    let refuses = async {
        while tokio::net::TcpStream::connect(server.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(GENEROUS, refuses)
        .await
        .expect("no new connections");
    go_on.notify_one();
    let (status, text) = call.await.unwrap().unwrap();
    assert_eq!((status.as_u16(), &text[..]), (200, &b"finished"[..]));
    server.task.await.unwrap().unwrap();
}
