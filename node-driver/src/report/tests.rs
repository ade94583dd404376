use std::sync::Arc;

use http::Method;
use kube::runtime::reflector;
use placement::{Bytes, RegionId};
use serde_json::{Value, json};

use super::*;
use crate::devices::{Attach, Emulated};
use crate::fixtures::{ApiServer, ReceivedRequest};
use crate::layout::{Layout, Revision};

fn echo(request: &ReceivedRequest) -> Value {
    request.body.clone()
}

fn node(_: &ReceivedRequest) -> Value {
    json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "n", "uid": "uid-of-n" } })
}

struct Driver {
    _directory: tempfile::TempDir,
    devices: Arc<Emulated>,
    layout: Layout,
    reporter: Reporter,
    server: ApiServer,
}

fn driver() -> Driver {
    let directory = tempfile::tempdir().unwrap();
    let regions = ["64Mi@0".parse().unwrap()];
    let devices = Arc::new(Emulated::open(directory.path(), &regions, Attach::Nothing).unwrap());
    let (client, server) = ApiServer::new();
    let (volumes, _) = reflector::store();
    Driver {
        _directory: directory,
        layout: Layout::new(devices.clone(), Revision::default()),
        devices,
        reporter: Reporter::new(
            &client,
            "n",
            "emulated",
            Objects::new(volumes),
            &Erasures::default(),
            None,
        ),
        server,
    }
}

impl Driver {
    async fn list(&self) -> LastListing {
        self.layout.list().await.unwrap();
        self.layout.subscribe().borrow().clone()
    }

    /// Reports, while the API server receives one write of the status.
    async fn report_status(&mut self, last: &LastListing) -> ReceivedRequest {
        let (reported, request) = tokio::join!(self.reporter.report(last), self.server.respond(200, echo));
        reported.unwrap();
        request
    }

    async fn report_first(&mut self, last: &LastListing) -> [ReceivedRequest; 3] {
        let responses = async {
            [
                self.server.respond(200, node).await,
                self.server.respond(200, echo).await,
                self.server.respond(200, echo).await,
            ]
        };
        let (reported, request) = tokio::join!(self.reporter.report(last), responses);
        reported.unwrap();
        request
    }
}

#[tokio::test]
async fn the_object_belongs_to_its_node() {
    let mut driver = driver();
    let last = driver.list().await;
    let [owner, object, status] = driver.report_first(&last).await;
    assert_eq!((owner.method, owner.uri.as_str()), (Method::GET, "/api/v1/nodes/n"));
    assert!(
        object.uri.starts_with("/apis/daxfit.dev/v1alpha1/pmemnodes/n?"),
        "{}",
        object.uri
    );
    assert_eq!(object.body["metadata"]["ownerReferences"][0]["uid"], "uid-of-n");
    assert!(
        status.uri.starts_with("/apis/daxfit.dev/v1alpha1/pmemnodes/n/status?"),
        "{}",
        status.uri
    );
    assert_eq!(status.body["status"]["layoutRevision"], 1);
    assert_eq!(
        status.body["status"]["regions"][0]["free"],
        json!([{ "start": 0, "size": 64 << 20 }])
    );
}

#[tokio::test]
async fn only_changes_are_written() {
    let mut driver = driver();
    let last = driver.list().await;
    driver.report_first(&last).await;
    // The server would have to answer any request, and nobody is there to do so.
    driver.reporter.report(&last).await.unwrap();

    let region = RegionId("emulated-0".into());
    let made = driver.devices.create_foreign("a", &region, Bytes::mib(16));
    made.unwrap();
    let last = driver.list().await;
    let request = driver.report_status(&last).await;
    assert_eq!(request.body["status"]["layoutRevision"], 2);
    assert_eq!(request.body["status"]["regions"][0]["free"][0]["start"], 16 << 20);
    assert_eq!(request.body["status"]["regions"][0]["foreign"]["count"], 1);
}

#[tokio::test]
async fn an_object_that_somebody_deleted_is_made_again() {
    let mut driver = driver();
    let mut last = driver.list().await;
    driver.report_first(&last).await;
    last.error = Some("cannot list".into());
    let (reported, _) = tokio::join!(driver.reporter.report(&last), driver.server.not_found());
    assert_eq!(reported.unwrap_err().to_string(), "cannot write PmemNode n");
    last.listing = None;
    let [_, object, status] = driver.report_first(&last).await;
    assert!(object.uri.contains("/pmemnodes/n?"));
    assert_eq!(status.body["status"]["layoutRevision"], 1);
    assert_eq!(status.body["status"]["totals"]["free"], 64 << 20);
    assert_eq!(status.body["status"]["conditions"][1]["reason"], "ListingFailed");
}

#[tokio::test]
async fn what_the_host_does_is_reported_beside_what_the_devices_are() {
    let mut driver = driver();
    let condition = crate::host_rules::install(None).condition();
    driver.reporter = driver.reporter.with_condition(Some(condition));
    let last = driver.list().await;
    let [_, _, status] = driver.report_first(&last).await;
    let conditions = status.body["status"]["conditions"].as_array().unwrap();
    let kinds: Vec<&str> = conditions.iter().map(|each| each["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["HostLeavesVolumesAlone", "Prepared", "Ready"]);
    assert_eq!(conditions[0]["status"], "False");
    // The server would have to answer any request, and nobody is there to do so.
    driver.reporter.report(&last).await.unwrap();
}
