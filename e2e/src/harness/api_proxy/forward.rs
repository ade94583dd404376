//! One request: to the API server and back, unless the scenario says otherwise.

use std::sync::Arc;

use anyhow::{Context, Result};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use kube::Client;
use serde_json::json;

use super::asked::{Asked, Verb};
use super::caller::Caller;
use super::gates::{Verdict, When};
use super::relay::relayed;

/// What no request or answer of a program comes near.
const LARGEST: usize = 64 << 20;

/// Answers one request of a program.
pub(super) async fn forward(State(caller): State<Arc<Caller>>, request: Request) -> Response {
    match answer(&caller, request).await {
        Ok(response) => response,
        Err(error) => {
            tracing::debug!("not forwarded: {error:#}");
            failure(&format!("{error:#}"))
        }
    }
}

async fn answer(caller: &Caller, request: Request) -> Result<Response> {
    let (head, body) = request.into_parts();
    let asked = Asked::of(&head.method, &head.uri);
    let body = to_bytes(body, LARGEST).await.context("reading the request")?;
    let response = match asked.verb {
        Verb::List => list(caller, head, body).await?,
        Verb::Watch => watch(caller, head, body, &asked).await?,
        _ if asked.is_write() => write(caller, head, body, &asked).await?,
        Verb::Get | Verb::Create | Verb::Change | Verb::Delete => send(&caller.upstream, head, body).await?,
    };
    caller.answers.add(asked, response.status());
    Ok(response)
}

async fn list(caller: &Caller, head: Parts, body: Bytes) -> Result<Response> {
    match caller.lists.answer(&head.uri.to_string(), &head.headers) {
        Some(past) => Ok(([(CONTENT_TYPE, "application/json")], past).into_response()),
        None => send(&caller.upstream, head, body).await,
    }
}

async fn watch(caller: &Caller, head: Parts, body: Bytes, asked: &Asked) -> Result<Response> {
    let controls = caller.watches.subscribe();
    // Counted before the API server answers: one that comes meanwhile is not missed.
    let endings = controls.borrow().of(&asked.kind).endings;
    let (head, body) = send(&caller.upstream, head, body).await?.into_parts();
    let body = if head.status.is_success() {
        relayed(body, asked.kind.clone(), controls, endings)
    } else {
        body
    };
    Ok(Response::from_parts(head, body))
}

async fn write(caller: &Caller, head: Parts, body: Bytes, asked: &Asked) -> Result<Response> {
    let Some(gate) = caller.gates.take(asked) else {
        return send(&caller.upstream, head, body).await;
    };
    match gate.when {
        When::Before => match gate.wait().await {
            Verdict::GoOn => send(&caller.upstream, head, body).await,
            Verdict::Fail => Ok(failure("the API server was not reached")),
        },
        When::After => {
            let response = send(&caller.upstream, head, body).await?;
            match gate.wait().await {
                Verdict::GoOn => Ok(response),
                Verdict::Fail => Ok(failure("the answer was lost")),
            }
        }
    }
}

/// The answer of the API server to a request.
pub(super) async fn send(upstream: &Client, mut head: Parts, body: Bytes) -> Result<Response> {
    remove_hops(&mut head.headers);
    let request = http::Request::from_parts(head, body.into());
    let (mut head, body) = upstream
        .send(request)
        .await
        .context("asking the API server")?
        .into_parts();
    remove_hops(&mut head.headers);
    Ok(Response::from_parts(head, Body::new(body)))
}

/// Takes away what is said about one connection only.
fn remove_hops(headers: &mut HeaderMap) {
    for header in [HOST, CONNECTION, TRANSFER_ENCODING, CONTENT_LENGTH] {
        headers.remove(header);
    }
}

/// An error that says nothing of whether the request was carried out. Clients do not repeat it by themselves.
fn failure(message: &str) -> Response {
    let status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": "InternalError",
        "code": 500,
    });
    let head = [(CONTENT_TYPE, "application/json")];
    (StatusCode::INTERNAL_SERVER_ERROR, head, status.to_string()).into_response()
}
