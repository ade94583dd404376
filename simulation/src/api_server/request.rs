//! Answers requests as the API server does.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::Value;

use super::change::{apply, merge};
use super::kind::{Key, Kind};
use super::path::Target;
use super::refusal::Refusal;
use super::store::{Part, Store};
use super::{ApiServer, admission};

/// A request that is no watch.
pub(super) struct Call<'a> {
    pub(super) method: &'a Method,
    pub(super) target: &'a Target,
    pub(super) content_type: &'a str,
    pub(super) body: Value,
    /// The node that the caller may write for; none for any.
    pub(super) writer: Option<&'a str>,
}

impl ApiServer {
    /// Answers a request.
    pub(super) fn answer(&self, call: &Call<'_>) -> (StatusCode, Vec<u8>) {
        let answered = self.change(|store| handle(store, call));
        let (code, body) = match answered {
            Ok(Answer::Object(object)) if *call.method == Method::POST => (StatusCode::CREATED, object.to_string()),
            Ok(Answer::Object(object)) => (StatusCode::OK, object.to_string()),
            Ok(Answer::List(list)) => (StatusCode::OK, list),
            Err(refusal) => (refusal.code, refusal.to_status().to_string()),
        };
        (code, body.into_bytes())
    }
}

enum Answer {
    Object(Arc<Value>),
    List(String),
}

fn handle(store: &mut Store, call: &Call<'_>) -> Result<Answer, Refusal> {
    let target = call.target;
    if target.key.kind == Kind::Event {
        return Ok(Answer::Object(Arc::new(call.body.clone())));
    }
    match *call.method {
        Method::GET if target.key.name.is_empty() => Ok(Answer::List(list(store, target))),
        Method::GET => {
            let missing = || Refusal::not_found(format!("{} not found", target.key.name));
            store.get(&target.key).map(Answer::Object).ok_or_else(missing)
        }
        Method::POST => create(store, call).map(Answer::Object),
        Method::PATCH => patch(store, call).map(Answer::Object),
        Method::DELETE => {
            let preconditions = &call.body["preconditions"];
            store.delete(&target.key, preconditions).map(Answer::Object)
        }
        _ => Err(Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            "not modelled",
        )),
    }
}

fn list(store: &Store, target: &Target) -> String {
    let selector = target.selector();
    let all = store.list(target.key.kind, &target.key.namespace);
    let items: Vec<String> = all
        .filter(|(_, object)| selector.matches(object))
        .map(|(_, object)| object.to_string())
        .collect();
    format!(
        r#"{{"kind":"{}List","apiVersion":"{}","metadata":{{"resourceVersion":"{}"}},"items":[{}]}}"#,
        target.key.kind.name(),
        target.key.kind.api_version(),
        store.revision,
        items.join(",")
    )
}

fn create(store: &mut Store, call: &Call<'_>) -> Result<Arc<Value>, Refusal> {
    let name = call.body["metadata"]["name"].as_str();
    let name = name.ok_or_else(|| Refusal::invalid("it has no name"))?;
    let key = Key {
        name: name.into(),
        ..call.target.key.clone()
    };
    admission::policy(&key, &call.body, call.writer)?;
    store.create(key, call.body.clone())
}

fn patch(store: &mut Store, call: &Call<'_>) -> Result<Arc<Value>, Refusal> {
    let target = call.target;
    if let Some(object) = store.get(&target.key) {
        admission::policy(&target.key, &object, call.writer)?;
    }
    match call.content_type {
        "application/merge-patch+json" => store.update(&target.key, target.part, |object| {
            merge(object, &call.body);
            Ok(())
        }),
        "application/apply-patch+yaml" => apply_patch(store, call),
        other => Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            other,
        )),
    }
}

fn apply_patch(store: &mut Store, call: &Call<'_>) -> Result<Arc<Value>, Refusal> {
    let target = call.target;
    let part = if target.part == Part::Status { "status" } else { "main" };
    let manager = target.query.get("fieldManager").map_or("", String::as_str);
    let manager = format!("{manager}/{part}");
    let applied = if store.get(&target.key).is_none() {
        if target.part == Part::Status {
            return Err(Refusal::not_found(format!("{} not found", target.key.name)));
        }
        admission::policy(&target.key, &call.body, call.writer)?;
        store.create(target.key.clone(), call.body.clone())?
    } else {
        let before = store.applied(&target.key, &manager).cloned();
        store.update(&target.key, target.part, |object| {
            apply(object, before.as_ref(), &call.body);
            Ok(())
        })?
    };
    store.note_applied(target.key.clone(), manager, call.body.clone());
    Ok(applied)
}
