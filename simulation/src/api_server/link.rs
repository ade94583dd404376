//! What a program talks to instead of a socket to the API server.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use kube::client::Body;
use serde_json::Value;
use tokio::time::sleep;

use super::kind::Kind;
use super::path::Target;
use super::request::Call;
use super::{ApiServer, Network};
use crate::devices::Fuse;

pub(super) type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// What one run of a program talks to instead of a socket to the API server.
#[derive(Clone)]
pub struct Link {
    pub(super) server: ApiServer,
    pub(super) network: Network,
    fuse: Fuse,
    writer: Option<String>,
}

impl Link {
    /// A link of the run that has this fuse. It may write what belongs to node `writer` only; none: for any.
    #[must_use]
    pub fn new(server: &ApiServer, network: &Network, fuse: &Fuse, writer: Option<&str>) -> Self {
        Self {
            server: server.clone(),
            network: network.clone(),
            fuse: fuse.clone(),
            writer: writer.map(Into::into),
        }
    }

    /// What kills the run.
    #[must_use]
    pub fn fuse(&self) -> &Fuse {
        &self.fuse
    }

    /// A client for the program.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        let link = self.clone();
        let service = tower::service_fn(move |request| link.clone().call(request));
        kube::Client::new(service, "default")
    }

    /// Fails if etcd is restored meanwhile.
    async fn call(self, request: Request<Body>) -> io::Result<Answer> {
        let mut starts = self.server.starts.subscribe();
        tokio::select! {
            biased;
            _ = starts.changed() => Err(lost()),
            answered = self.clone().answer(request) => answered,
        }
    }

    async fn answer(self, request: Request<Body>) -> io::Result<Answer> {
        self.travel().await?;
        if self.loses(|state| state.requests_lost) {
            return Err(lost());
        }
        let (parts, body) = request.into_parts();
        let target = match Target::parse(&parts.uri) {
            Ok(target) => target,
            Err(refusal) => return Ok(answer(refusal.code, refusal.to_status().to_string().into_bytes())),
        };
        if target.is_watch() {
            return Ok(self.watch(&target));
        }
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let call = Call {
            method: &parts.method,
            target: &target,
            content_type: parts
                .headers
                .get(CONTENT_TYPE)
                .map_or("", |value| value.to_str().unwrap_or_default()),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            writer: self.writer.as_deref(),
        };
        let (code, body) = self.carry_out(&call).await;
        self.travel().await?;
        if self.loses(|state| state.answers_lost) {
            return Err(lost());
        }
        Ok(answer(code, body))
    }

    /// A write is an effect: the program may be killed by it, and never learn that it succeeded. The renewal of a Lease is none: there
    /// are so many that they would be most of what programs are killed by.
    async fn carry_out(&self, call: &Call<'_>) -> (http::StatusCode, Vec<u8>) {
        let carry_out = || self.server.answer(call);
        let done = if *call.method == http::Method::GET || call.target.key.kind == Kind::Lease {
            if self.fuse.is_blown() { None } else { Some(carry_out()) }
        } else {
            self.fuse.effect(carry_out).ok()
        };
        match done {
            Some(done) => done,
            None => std::future::pending().await,
        }
    }

    async fn travel(&self) -> io::Result<()> {
        let state = self.network.state();
        sleep(self.network.dice.up_to(state.latency)).await;
        if self.network.state().is_partitioned {
            sleep(self.network.dice.up_to(Duration::from_secs(10))).await;
            return Err(lost());
        }
        Ok(())
    }

    fn loses(&self, share: impl FnOnce(&super::NetworkState) -> u32) -> bool {
        self.network.dice.happens(share(&self.network.state()))
    }
}

pub(super) fn answer(code: http::StatusCode, body: Vec<u8>) -> Answer {
    let body = Full::new(Bytes::from(body)).map_err(|never| match never {});
    let mut answer = Response::new(body.boxed_unsync());
    *answer.status_mut() = code;
    answer
}

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the network of the simulation lost it")
}
