use std::time::Duration;

use ::csi::registration::registration_client::RegistrationClient;
use ::csi::registration::{InfoRequest, RegistrationStatus};
use tonic::transport::{Endpoint, Uri};

use super::*;

/// What a loaded machine may take at most.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// What grpc-go makes of a path that it is told to dial (`encodeAuthority` in its `clientconn.go`), as far as it occurs here.
fn origin(path: &Path) -> Uri {
    let authority = path.to_str().unwrap().replace('/', "%2F");
    let uri = Uri::builder().scheme("http").authority(authority).path_and_query("/");
    uri.build().expect("h2 takes this authority")
}

#[tokio::test]
async fn the_kubelet_gets_to_know_the_driver() {
    let dir = tempfile::tempdir().unwrap();
    let path = socket_path(dir.path());
    let shutdown = CancellationToken::new();
    let (sender, mut state) = watch::channel(RegistrationState::default());
    let socket = Socket::bind(&path).unwrap();
    let endpoint = Path::new("/var/lib/kubelet/plugins/csi.daxfit.dev/csi.sock");
    let server = tokio::spawn(serve(socket, endpoint, sender, shutdown.clone()));

    let uri = format!("unix:{}", path.display());
    let as_the_kubelet = Endpoint::try_from(uri).unwrap().origin(origin(&path));
    let channel = as_the_kubelet.connect().await.unwrap();
    let mut kubelet = RegistrationClient::new(channel);
    let info = kubelet.get_info(InfoRequest {}).await.unwrap().into_inner();
    assert_eq!(info.r#type, "CSIPlugin");
    assert_eq!(info.name, "csi.daxfit.dev");
    assert_eq!(info.endpoint, endpoint.to_str().unwrap());
    assert_eq!(info.supported_versions, ["1.0.0"]);

    for (registered, error, expected) in [
        (false, "no such node", RegistrationState::Failed("no such node".into())),
        (true, "", RegistrationState::Registered),
    ] {
        let status = RegistrationStatus {
            plugin_registered: registered,
            error: error.into(),
        };
        kubelet.notify_registration_status(status).await.unwrap();
        assert_eq!(*state.borrow_and_update(), expected);
    }
    shutdown.cancel();
    tokio::time::timeout(TIME_LIMIT, server)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(!path.exists());
}
