//! An API server in memory: it stores what is written, keeps finalizers and preconditions, and feeds the index as the
//! watches would.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crds::{PmemNode, PmemVolume, PmemVolumeStatus};
use daxfit_operator::index::SharedIndex;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower_test::mock::{self, Handle, SendResponse};

use super::{Watched, persistent_volume};

/// What the nodes do with a volume, once they see it.
pub type NodeDriver = fn(&PmemVolume) -> PmemVolumeStatus;

/// What is stored, by path, and what was asked.
#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    calls: Vec<String>,
    version: u64,
    /// Answers every write with this until it is taken away.
    failing: Option<StatusCode>,
    /// How often somebody else still changes a volume right after it was read.
    changes: u32,
}

/// The API server.
#[derive(Clone)]
pub struct ApiServer {
    state: Arc<Mutex<State>>,
    index: SharedIndex,
    driver: NodeDriver,
}

/// The claims of all namespaces.
const CLAIMS: &str = "/api/v1/persistentvolumeclaims";
const VOLUMES: &str = "/apis/daxfit.dev/v1alpha1/pmemvolumes";

impl ApiServer {
    /// Starts it. Each new volume is shown to `driver`, and its status stored.
    pub fn start(index: &SharedIndex, driver: NodeDriver) -> (Self, Client) {
        let server = Self {
            state: Arc::default(),
            index: index.clone(),
            driver,
        };
        let (service, handle) = mock::pair::<Request<Body>, Response<Body>>();
        tokio::spawn(server.clone().serve(handle));
        (server, Client::new(service, "default"))
    }

    /// Stores a volume as if somebody had written it before.
    pub fn add_volume(&self, volume: &PmemVolume) {
        let name = volume.metadata.name.clone().unwrap();
        self.store(format!("{VOLUMES}/{name}"), serde_json::to_value(volume).unwrap());
        self.index.apply(volume.clone());
    }

    /// Stores the `PersistentVolume` of a volume as external-provisioner calls it. No watch has shown it.
    pub fn add_persistent_volume(&self, volume: &str, node: &str) {
        let mut named = persistent_volume(volume, node);
        named.metadata.name = Some(volume.into());
        let named = serde_json::to_value(named).unwrap();
        self.store(format!("/api/v1/persistentvolumes/{volume}"), named);
    }

    /// Stores what a node has reported. No watch has shown it.
    pub fn add_report(&self, node: &PmemNode) {
        let name = node.metadata.name.as_deref().unwrap();
        let node = serde_json::to_value(node).unwrap();
        self.store(format!("/apis/daxfit.dev/v1alpha1/pmemnodes/{name}"), node);
    }

    /// Takes any object away, as if it had never been there.
    pub fn forget(&self, path: &str) {
        self.state.lock().unwrap().objects.remove(path);
    }

    /// Stores any object.
    pub fn store(&self, path: String, object: Value) {
        self.state.lock().unwrap().objects.insert(path, object);
    }

    /// Writes fail with `code`, or work again.
    pub fn fail(&self, code: Option<StatusCode>) {
        self.state.lock().unwrap().failing = code;
    }

    /// Somebody else changes a volume right after it was read, so many times.
    pub fn change_after_reads(&self, times: u32) {
        self.state.lock().unwrap().changes = times;
    }

    /// As `kubectl delete pmemvolume` does.
    pub fn delete_by_hand(&self, name: &str) {
        let path = format!("{VOLUMES}/{name}");
        let volume = self.volume(name).unwrap();
        let (code, _) = self.handle(&Method::DELETE, &path, Value::Null);
        assert!(code.is_success());
        match self.volume(name) {
            Some(held) => self.index.apply(held),
            None => self.index.delete(&volume),
        }
    }

    /// The volume, if it is there.
    pub fn volume(&self, name: &str) -> Option<PmemVolume> {
        self.object(&format!("{VOLUMES}/{name}"))
            .map(|object| serde_json::from_value(object).unwrap())
    }

    /// The object at `path`, if it is there.
    pub fn object(&self, path: &str) -> Option<Value> {
        self.state.lock().unwrap().objects.get(path).cloned()
    }

    /// All objects below `path`.
    pub fn objects(&self, path: &str) -> Vec<Value> {
        let state = self.state.lock().unwrap();
        let below = state.objects.iter().filter(|(key, _)| key.starts_with(path));
        below.map(|(_, object)| object.clone()).collect()
    }

    /// The writes so far, as "METHOD path", and forgets them.
    pub fn take_writes(&self) -> Vec<String> {
        let calls = std::mem::take(&mut self.state.lock().unwrap().calls);
        calls.into_iter().filter(|call| !call.starts_with("GET")).collect()
    }

    async fn serve(self, mut handle: Handle<Request<Body>, Response<Body>>) {
        while let Some((request, send)) = handle.next_request().await {
            self.answer(request, send).await;
        }
    }

    async fn answer(&self, request: Request<Body>, send: SendResponse<Response<Body>>) {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let path = parts.uri.path().to_owned();
        let (code, answer) = self.handle(&parts.method, &path, body);
        let body = Body::from(serde_json::to_vec(&answer).unwrap());
        send.send_response(Response::builder().status(code).body(body).unwrap());
    }

    fn handle(&self, method: &Method, path: &str, body: Value) -> (StatusCode, Value) {
        let mut state = self.state.lock().unwrap();
        state.calls.push(format!("{method} {path}"));
        if let Some(code) = state.failing.filter(|_| method != Method::GET) {
            return refuse(code, "made to fail");
        }
        let answer = match *method {
            Method::GET => state.get(path),
            Method::POST => state.create(path, body),
            Method::PATCH => state.patch(path, &body),
            Method::DELETE => state.delete(path, &body),
            _ => refuse(StatusCode::METHOD_NOT_ALLOWED, "not here"),
        };
        drop(state);
        if method != Method::GET && path.starts_with(VOLUMES) && answer.0.is_success() {
            self.show(&answer.1);
        }
        answer
    }

    /// What the watch and the node make of a volume that was written.
    fn show(&self, object: &Value) {
        let Ok(volume) = serde_json::from_value::<PmemVolume>(object.clone()) else {
            return;
        };
        self.index.apply(volume.clone());
        let path = format!("{VOLUMES}/{}", volume.metadata.name.as_deref().unwrap());
        if volume.metadata.deletion_timestamp.is_some() {
            // Refused volumes have nothing to erase; the others take their time.
            if volume
                .status
                .as_ref()
                .is_some_and(|s| s.phase == Some(crds::Phase::Refused))
            {
                self.state.lock().unwrap().objects.remove(&path);
                self.index.delete(&volume);
            }
        } else {
            let said = volume.status.clone().filter(|status| status.phase.is_some());
            let status = Some(said.unwrap_or_else(|| (self.driver)(&volume)));
            let volume = PmemVolume { status, ..volume };
            self.state
                .lock()
                .unwrap()
                .objects
                .insert(path, serde_json::to_value(&volume).unwrap());
            self.index.apply(volume);
        }
    }
}

impl State {
    fn get(&mut self, path: &str) -> (StatusCode, Value) {
        match self.objects.get(path) {
            Some(object) => {
                let answer = object.clone();
                self.change(path);
                (StatusCode::OK, answer)
            }
            None if path.ends_with("/pods") || path == CLAIMS || path == VOLUMES => (StatusCode::OK, self.list(path)),
            None => refuse(StatusCode::NOT_FOUND, "NotFound"),
        }
    }

    fn change(&mut self, path: &str) {
        if self.changes > 0 && path.starts_with(VOLUMES) {
            self.changes -= 1;
            let mut object = self.objects[path].clone();
            self.stamp(&mut object);
            self.objects.insert(path.into(), object);
        }
    }

    /// All objects of one kind, whatever the selectors say.
    fn list(&self, path: &str) -> Value {
        let of_kind = self
            .objects
            .iter()
            .filter(|(key, _)| key.starts_with(&format!("{path}/")));
        let items: Vec<&Value> = of_kind.map(|(_, object)| object).collect();
        json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items})
    }

    fn create(&mut self, path: &str, mut object: Value) -> (StatusCode, Value) {
        let path = format!("{path}/{}", object["metadata"]["name"].as_str().unwrap());
        if self.objects.contains_key(&path) {
            return refuse(StatusCode::CONFLICT, "AlreadyExists");
        }
        self.stamp(&mut object);
        object["metadata"]["uid"] = json!(format!("uid-{}", self.version));
        object["metadata"]["creationTimestamp"] = json!("2026-01-02T00:00:00Z");
        self.objects.insert(path, object.clone());
        (StatusCode::CREATED, object)
    }

    fn patch(&mut self, path: &str, changes: &Value) -> (StatusCode, Value) {
        let Some(mut object) = self.objects.get(path).cloned() else {
            return refuse(StatusCode::NOT_FOUND, "NotFound");
        };
        // Stricter than a real one: whatever is not an event has to be changed with the version that was seen.
        let any_version = path.contains("/events/");
        let is_seen = |key: &str| changes["metadata"][key] == object["metadata"][key];
        if !(any_version || is_seen("resourceVersion") && is_seen("uid")) {
            return refuse(StatusCode::CONFLICT, "Conflict");
        }
        merge(&mut object, changes);
        self.stamp(&mut object);
        let metadata = &object["metadata"];
        if metadata["deletionTimestamp"].is_string() && metadata["finalizers"] == json!([]) {
            self.objects.remove(path);
        } else {
            self.objects.insert(path.into(), object.clone());
        }
        (StatusCode::OK, object)
    }

    fn delete(&mut self, path: &str, options: &Value) -> (StatusCode, Value) {
        let Some(mut object) = self.objects.get(path).cloned() else {
            return refuse(StatusCode::NOT_FOUND, "NotFound");
        };
        for key in ["uid", "resourceVersion"] {
            let wanted = &options["preconditions"][key];
            if !wanted.is_null() && *wanted != object["metadata"][key] {
                return refuse(StatusCode::CONFLICT, "Conflict");
            }
        }
        let held = object["metadata"]["finalizers"]
            .as_array()
            .is_some_and(|held| !held.is_empty());
        if !held {
            self.objects.remove(path);
            return (
                StatusCode::OK,
                json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}),
            );
        }
        self.stamp(&mut object);
        object["metadata"]["deletionTimestamp"] = json!("2026-01-03T00:00:00Z");
        self.objects.insert(path.into(), object.clone());
        (StatusCode::OK, object)
    }

    fn stamp(&mut self, object: &mut Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!((1000 + self.version).to_string());
    }
}

fn refuse(code: StatusCode, reason: &str) -> (StatusCode, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "reason": reason, "message": reason, "code": code.as_u16(),
    });
    (code, status)
}

/// RFC 7386.
fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *object = patch.clone();
        return;
    };
    for (key, value) in fields {
        match (value, object.as_object_mut()) {
            (Value::Null, Some(object)) => _ = object.remove(key),
            _ => merge(&mut object[key], value),
        }
    }
}
