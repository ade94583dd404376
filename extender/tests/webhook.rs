//! The calls over HTTP, without TLS.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here is a failed test"
)]

#[path = "../src/testing.rs"]
mod testing;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use cluster::watch::Indexes;
use cluster::{Claim, Class, ObjectKey, Pod};
use crds::{PmemNode, PmemVolume};
use extender::decide::NodeChoice;
use extender::state::State;
use extender::webhook::{ObjectReader, TIME_LIMIT, Webhook, router};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use k8s_openapi::api::core::v1::{self as core, PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::{CSINode, StorageClass};
use placement::Policy;
use rstest::rstest;
use serde_json::{Value, json};
use tower::ServiceExt;

use testing::{claim, class, node, pod, volume};

/// Claims by "namespace/name", and how often it was asked.
#[derive(Default)]
struct FakeApiServer {
    claims: HashMap<String, Claim>,
    volumes: Vec<PmemVolume>,
    asked: AtomicUsize,
    broken: bool,
    /// How long it takes to answer a read.
    takes: Duration,
}

impl ObjectReader for &'static FakeApiServer {
    async fn claim(&self, key: &ObjectKey) -> kube::Result<Option<Claim>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.broken {
            return Err(kube::Error::LinesCodecMaxLineLengthExceeded);
        }
        tokio::time::sleep(self.takes).await;
        Ok(self.claims.get(&key.to_string()).cloned())
    }

    async fn class(&self, _: &str) -> kube::Result<Option<Class>> {
        tokio::time::sleep(self.takes).await;
        Ok(None)
    }

    async fn volume(&self, name: &str) -> kube::Result<Option<PmemVolume>> {
        let mut volumes = self.volumes.iter();
        Ok(volumes
            .find(|volume| volume.metadata.name.as_deref() == Some(name))
            .cloned())
    }

    async fn pod(&self, key: &ObjectKey) -> kube::Result<Option<Pod>> {
        Ok((*key.name == *"p").then(|| pod(&["c"])))
    }
}

/// "tight" has 64 MiB, "roomy" 512 MiB; claim "c" asks for 40 MiB.
fn synced() -> State {
    let mut state = State::default();
    state.apply(&node("tight", 1, &[&[(0, 64)]]));
    state.apply(&node("roomy", 1, &[&[(0, 512)]]));
    state.apply(&class("fsdax", &[]));
    state.apply(&claim("ns", "c", "fsdax", "40Mi"));
    let cluster =
        |names: &[&str]| -> HashSet<ObjectKey> { names.iter().map(|name| ObjectKey::new("", name)).collect() };
    Indexes::<PmemNode>::reset(&mut state, &cluster(&["tight", "roomy"]));
    Indexes::<PmemVolume>::reset(&mut state, &HashSet::new());
    Indexes::<PersistentVolume>::reset(&mut state, &HashSet::new());
    Indexes::<PersistentVolumeClaim>::reset(&mut state, &[ObjectKey::new("ns", "c")].into());
    Indexes::<StorageClass>::reset(&mut state, &cluster(&["fsdax"]));
    Indexes::<core::Pod>::reset(&mut state, &HashSet::new());
    Indexes::<CSINode>::reset(&mut state, &HashSet::new());
    state
}

fn app(state: State, api_server: FakeApiServer) -> (Router, &'static FakeApiServer) {
    app_with(state, api_server, TIME_LIMIT)
}

fn app_with(state: State, api_server: FakeApiServer, time_limit: Duration) -> (Router, &'static FakeApiServer) {
    let reader: &'static FakeApiServer = Box::leak(Box::new(api_server));
    let webhook = Webhook {
        state: state.into(),
        reader,
        choice: NodeChoice {
            policy: Policy::Pack,
            candidates: 1,
        },
        time_limit,
    };
    (router(webhook), reader)
}

async fn send(app: &Router, method: &str, path: &str, body: impl Into<Body>) -> (StatusCode, String) {
    let request = Request::builder().method(method).uri(path).body(body.into()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn args(claim: Option<&str>) -> String {
    let volume = |claim: &str| json!({ "name": "v", "persistentVolumeClaim": { "claimName": claim } });
    let volumes: Vec<Value> = claim.into_iter().map(volume).collect();
    let pod = json!({ "metadata": { "namespace": "ns", "name": "p" }, "spec": { "volumes": volumes } });
    json!({ "Pod": pod, "Nodes": null, "NodeNames": ["tight", "roomy", "bare"] }).to_string()
}

fn parse(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn filters() {
    let (app, api_server) = app(synced(), FakeApiServer::default());
    let (status, body) = send(&app, "POST", "/filter", args(Some("c"))).await;
    assert_eq!(status, StatusCode::OK);
    let body = parse(&body);
    // Both would do; the better one passes, and is reserved for the pod.
    assert_eq!(body["NodeNames"], json!(["tight"]));
    assert_eq!(body["FailedNodes"], json!({}));
    assert_eq!(
        body["FailedAndUnresolvableNodes"]["bare"],
        "no persistent memory: no PmemNode, no driver in its CSINode, or a silent driver"
    );
    assert_eq!(body["Error"], "");
    assert_eq!(api_server.asked.load(Ordering::SeqCst), 0);
}

/// Evicting pods gives no bytes back: their claims stay.
#[tokio::test]
async fn nobody_is_evicted_where_the_claims_do_not_fit() {
    let mut state = synced();
    state.apply(&claim("ns", "large", "fsdax", "100Mi"));
    let (app, _) = app(state, FakeApiServer::default());
    let victims = json!({ "Pods": [{ "UID": "x" }], "NumPDBViolations": 1 });
    let all = json!({ "tight": victims, "roomy": victims, "bare": victims });
    let preempt = async |claim: Option<&str>| {
        let pod = parse(&args(claim))["Pod"].clone();
        let body = json!({ "Pod": pod, "NodeNameToVictims": null, "NodeNameToMetaVictims": all }).to_string();
        let (status, body) = send(&app, "POST", "/preempt", body).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        parse(&body)["NodeNameToMetaVictims"].clone()
    };
    assert_eq!(preempt(Some("large")).await, json!({ "roomy": victims }));
    assert_eq!(preempt(Some("c")).await, json!({ "tight": victims, "roomy": victims }));
    assert_eq!(preempt(None).await, all);
}

#[tokio::test]
async fn prioritizes() {
    let (app, _) = app(synced(), FakeApiServer::default());
    let (status, body) = send(&app, "POST", "/prioritize", args(Some("c"))).await;
    let scores = json!([{"Host":"tight","Score":3},{"Host":"roomy","Score":0},{"Host":"bare","Score":0}]);
    assert_eq!((status, parse(&body)), (StatusCode::OK, scores));
}

#[tokio::test]
async fn a_pod_without_claims_passes_untouched() {
    let (app, _) = app(synced(), FakeApiServer::default());
    let (_, body) = send(&app, "POST", "/filter", args(None)).await;
    assert_eq!(parse(&body)["NodeNames"], json!(["tight", "roomy", "bare"]));
    assert_eq!(parse(&body)["FailedNodes"], json!({}));
    let (_, body) = send(&app, "POST", "/prioritize", args(None)).await;
    assert_eq!(body, "[]");
}

#[tokio::test]
async fn a_claim_that_is_not_indexed_yet_is_read_once() {
    let mut api_server = FakeApiServer::default();
    let late = Claim::from(&claim("ns", "late", "fsdax", "100Mi"));
    api_server.claims.insert("ns/late".into(), late);
    let (app, api_server) = app(synced(), api_server);
    let (_, body) = send(&app, "POST", "/filter", args(Some("late"))).await;
    assert_eq!(parse(&body)["NodeNames"], json!(["roomy"]));
    assert_eq!(api_server.asked.load(Ordering::SeqCst), 1);
    let (_, body) = send(&app, "POST", "/filter", args(Some("never"))).await;
    let why = &parse(&body)["FailedAndUnresolvableNodes"]["roomy"];
    assert_eq!(why, "claim ns/never does not exist");
}

#[tokio::test]
async fn an_api_server_that_does_not_answer_is_an_error() {
    let api_server = FakeApiServer {
        broken: true,
        ..FakeApiServer::default()
    };
    let (app, _) = app(synced(), api_server);
    let (status, body) = send(&app, "POST", "/filter", args(Some("late"))).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        body.starts_with("the API server could not be asked for the pod, or for a claim"),
        "{body}"
    );
}

#[tokio::test]
async fn nothing_is_answered_before_everything_was_listed() {
    let mut state = State::default();
    Indexes::<PmemNode>::reset(&mut state, &HashSet::new());
    let (app, _) = app(state, FakeApiServer::default());
    let not_ready =
        "not ready: still listing PmemVolume, PersistentVolumeClaim, PersistentVolume, StorageClass, Pod, CSINode";
    for (method, path) in [("POST", "/filter"), ("POST", "/prioritize"), ("GET", "/readyz")] {
        let answer = send(&app, method, path, args(None)).await;
        assert_eq!(answer, (StatusCode::SERVICE_UNAVAILABLE, not_ready.into()), "{path}");
    }
    assert_eq!(send(&app, "GET", "/healthz", "").await, (StatusCode::OK, "ok".into()));
}

#[tokio::test]
async fn ready_when_everything_was_listed() {
    let (app, _) = app(synced(), FakeApiServer::default());
    assert_eq!(send(&app, "GET", "/readyz", "").await, (StatusCode::OK, "ok".into()));
}

#[rstest]
#[case(
    "POST",
    "/filter",
    "{",
    StatusCode::BAD_REQUEST,
    "the request is not one of kube-scheduler to an extender: EOF"
)]
#[case(
    "POST",
    "/prioritize",
    "{\"Pod\":null}",
    StatusCode::BAD_REQUEST,
    "the request has no Pod"
)]
#[case(
    "POST",
    "/filter",
    "{\"Pod\":{},\"Nodes\":{}}",
    StatusCode::BAD_REQUEST,
    "the request has whole nodes or pods but no names"
)]
#[case("GET", "/filter", "", StatusCode::METHOD_NOT_ALLOWED, "")]
#[case("POST", "/readyz", "", StatusCode::METHOD_NOT_ALLOWED, "")]
#[case("POST", "/bind", "", StatusCode::NOT_FOUND, "")]
#[tokio::test]
async fn refuses(
    #[case] method: &str,
    #[case] path: &str,
    #[case] body: &'static str,
    #[case] status: StatusCode,
    #[case] text: &str,
) {
    let (app, _) = app(synced(), FakeApiServer::default());
    let answer = send(&app, method, path, body).await;
    assert_eq!(answer.0, status);
    assert!(answer.1.starts_with(text), "{}", answer.1);
}

#[tokio::test]
async fn bodies_have_a_limit() {
    let (app, _) = app(synced(), FakeApiServer::default());
    let (status, _) = send(&app, "POST", "/filter", vec![b' '; (16 << 20) + 1]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let padded = format!("{}{}", " ".repeat(8 << 20), args(None));
    assert_eq!(send(&app, "POST", "/filter", padded).await.0, StatusCode::OK);
}

#[tokio::test]
async fn clients_and_api_servers_that_send_nothing_have_a_time_limit() {
    let api_server = FakeApiServer {
        takes: Duration::MAX,
        ..FakeApiServer::default()
    };
    let (app, _) = app_with(synced(), api_server, Duration::from_millis(100));
    let half = futures::stream::once(async { Ok::<_, std::io::Error>("{\"Pod\"") });
    let body = Body::from_stream(futures::StreamExt::chain(half, futures::stream::pending()));
    let slow = (
        StatusCode::REQUEST_TIMEOUT,
        "the request did not arrive within 0.1 s".to_owned(),
    );
    assert_eq!(send(&app, "POST", "/filter", body).await, slow);
    let slow = (
        StatusCode::SERVICE_UNAVAILABLE,
        "the API server did not answer within 0.1 s".to_owned(),
    );
    assert_eq!(send(&app, "POST", "/filter", args(Some("late"))).await, slow);
}

/// First the claim is read, then its class.
#[tokio::test(start_paused = true)]
async fn all_reads_of_a_call_have_one_time_limit() {
    for (takes, expected) in [(400, StatusCode::SERVICE_UNAVAILABLE), (399, StatusCode::OK)] {
        let late = Claim::from(&claim("ns", "late", "unknown", "100Mi"));
        let api_server = FakeApiServer {
            claims: [("ns/late".to_owned(), late)].into(),
            takes: Duration::from_millis(takes),
            ..FakeApiServer::default()
        };
        let (app, _) = app_with(synced(), api_server, Duration::from_millis(799));
        assert_eq!(send(&app, "POST", "/filter", args(Some("late"))).await.0, expected);
    }
}

#[test]
fn kube_scheduler_waits_longer_than_the_extender() {
    let configuration = include_str!("../../manifests/scheduler/kube-scheduler-config.yaml");
    let timeout = configuration.split("httpTimeout: ").nth(1).unwrap();
    let seconds: u64 = timeout.split_once('s').unwrap().0.parse().unwrap();
    assert!(TIME_LIMIT < Duration::from_secs(seconds));
}

#[tokio::test]
async fn five_thousand_names() {
    let (app, _) = app(synced(), FakeApiServer::default());
    let mut request = parse(&args(Some("c")));
    let names: Vec<String> = (0..5000).map(|n| format!("node-{n}")).chain(["roomy".into()]).collect();
    request["NodeNames"] = json!(names);
    let (status, body) = send(&app, "POST", "/filter", request.to_string()).await;
    let body = parse(&body);
    assert_eq!((status, &body["NodeNames"]), (StatusCode::OK, &json!(["roomy"])));
    assert_eq!(body["FailedAndUnresolvableNodes"].as_object().unwrap().len(), 5000);
}

#[tokio::test]
async fn what_is_reserved_for_one_pod_is_not_free_for_another() {
    let mut state = synced();
    state.apply(&claim("ns", "d", "fsdax", "40Mi"));
    let (app, _) = app(state, FakeApiServer::default());
    let (_, body) = send(&app, "POST", "/filter", args(Some("c"))).await;
    assert_eq!(parse(&body)["NodeNames"], json!(["tight"]));
    let mut other = parse(&args(Some("d")));
    other["Pod"]["metadata"]["uid"] = json!("of another pod");
    let (_, body) = send(&app, "POST", "/filter", other.to_string()).await;
    assert_eq!(parse(&body)["NodeNames"], json!(["roomy"]));
    assert_eq!(
        parse(&body)["FailedAndUnresolvableNodes"]["tight"],
        "asked 40 MiB; largest extent 20 MiB on NUMA 0, 22 MiB free in 1 extent, 42 MiB reserved for ns/c"
    );
}

/// kube-scheduler ended between two claims, and the watches show nothing of the first one's volume.
#[tokio::test]
async fn a_volume_that_is_not_shown_keeps_its_space_when_its_pod_is_refused() {
    let mut state = synced();
    state.apply(&claim("ns", "d", "fsdax", "40Mi"));
    let volumes = vec![volume("pvc-uid-of-c", "tight", 40)];
    let (app, _) = app(
        state,
        FakeApiServer {
            volumes,
            ..FakeApiServer::default()
        },
    );
    let (_, body) = send(&app, "POST", "/filter", args(Some("c"))).await;
    assert_eq!(parse(&body)["NodeNames"], json!(["tight"]));
    let mut again = parse(&args(Some("c")));
    again["NodeNames"] = json!(["roomy"]);
    let (_, body) = send(&app, "POST", "/filter", again.to_string()).await;
    assert_eq!(parse(&body)["NodeNames"], json!([]), "{body}");
    let mut other = parse(&args(Some("d")));
    other["Pod"]["metadata"]["uid"] = json!("of another pod");
    let (_, body) = send(&app, "POST", "/filter", other.to_string()).await;
    assert_eq!(parse(&body)["NodeNames"], json!(["roomy"]), "{body}");
}

#[tokio::test]
async fn explains() {
    let (app, _) = app(synced(), FakeApiServer::default());
    let before = send(&app, "GET", "/v1/explain?namespace=ns&pod=p", "").await;
    assert_eq!(before.0, StatusCode::OK);
    let explained = parse(&before.1);
    assert_eq!(explained["asked"][0]["claim"], "ns/c");
    assert_eq!(
        (&explained["nodes"][0]["node"], &explained["nodes"][0]["score"]),
        (&json!("tight"), &json!(10))
    );
    assert_eq!(send(&app, "GET", "/v1/explain?namespace=ns&pod=p", "").await, before);
    let none = (StatusCode::NOT_FOUND, "there is no pod ns/q".to_owned());
    assert_eq!(send(&app, "GET", "/v1/explain?namespace=ns&pod=q", "").await, none);
    for query in ["", "?namespace=ns", "?namespace=&pod=p", "?pod=p"] {
        let (status, text) = send(&app, "GET", &format!("/v1/explain{query}"), "").await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(text, "say which pod: /v1/explain?namespace=NAMESPACE&pod=NAME");
    }
}
