//! Client and server talk over a pipe in memory.

use csi::registration::InfoRequest;
use csi::registration::registration_client::RegistrationClient;
use csi::v1::identity_client::IdentityClient;
use csi::v1::identity_server::{Identity, IdentityServer};
use csi::v1::{GetPluginInfoRequest, ProbeRequest, ProbeResponse};
use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint, Error, Server};
use tonic::{Code, Request, Response, Status};
use tower::service_fn;

struct OnlyProbe;

#[tonic::async_trait]
impl Identity for OnlyProbe {
    async fn probe(&self, _: Request<ProbeRequest>) -> Result<Response<ProbeResponse>, Status> {
        Ok(Response::new(ProbeResponse { ready: Some(true) }))
    }
}

async fn connect() -> Result<Channel, Error> {
    let (client, server) = tokio::io::duplex(4096);
    let incoming = tokio_stream::once(Ok::<_, std::io::Error>(server));
    let serve = Server::builder()
        .add_service(IdentityServer::new(OnlyProbe))
        .serve_with_incoming(incoming);
    tokio::spawn(serve);
    let mut client = Some(TokioIo::new(client));
    let connector = service_fn(move |_| {
        let pipe = client.take().ok_or(std::io::ErrorKind::NotConnected);
        async move { pipe.map_err(std::io::Error::from) }
    });
    Endpoint::from_static("http://pipe")
        .connect_with_connector(connector)
        .await
}

#[tokio::test]
async fn probe_round_trip() {
    let mut identity = IdentityClient::new(connect().await.unwrap());
    let answer = identity.probe(ProbeRequest {}).await.unwrap();
    assert_eq!(answer.into_inner().ready, Some(true));
}

#[tokio::test]
async fn a_method_left_out_is_unimplemented() {
    let mut identity = IdentityClient::new(connect().await.unwrap());
    let refused = identity.get_plugin_info(GetPluginInfoRequest {}).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_service_left_out_is_unimplemented() {
    let mut registration = RegistrationClient::new(connect().await.unwrap());
    let refused = registration.get_info(InfoRequest {}).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
}
