use std::sync::Arc;

use http::Method;
use kube::runtime::reflector;
use placement::{Bytes, RegionId};
use serde_json::{Value, json};

use super::*;
use crate::devices::{Attach, Devices, Emulated, NewNamespace};
use crate::fixtures::{ApiServer, Asked};
use crate::layout::{Layout, Revision};

fn echo(asked: &Asked) -> Value {
    asked.body.clone()
}

fn node(_: &Asked) -> Value {
    json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "n", "uid": "uid-of-n" } })
}

struct Scene {
    _directory: tempfile::TempDir,
    devices: Arc<Emulated>,
    layout: Layout,
    publisher: Publisher,
    server: ApiServer,
}

fn scene() -> Scene {
    let directory = tempfile::tempdir().unwrap();
    let regions = ["64Mi@0".parse().unwrap()];
    let devices = Arc::new(Emulated::open(directory.path(), &regions, Attach::Nothing).unwrap());
    let (client, server) = ApiServer::new();
    let (volumes, _) = reflector::store();
    Scene {
        _directory: directory,
        layout: Layout::new(devices.clone(), Revision::default()),
        devices,
        publisher: Publisher::new(&client, "n", "emulated", volumes, None),
        server,
    }
}

impl Scene {
    async fn look(&self) -> Seen {
        self.layout.look().await.unwrap();
        self.layout.seen().borrow().clone()
    }

    /// Publishes, while the API server sees one write of the status.
    async fn publish_status(&mut self, seen: &Seen) -> Asked {
        let (published, asked) = tokio::join!(self.publisher.publish(seen), self.server.answer(200, echo));
        published.unwrap();
        asked
    }

    async fn publish_first(&mut self, seen: &Seen) -> [Asked; 3] {
        let answers = async {
            [
                self.server.answer(200, node).await,
                self.server.answer(200, echo).await,
                self.server.answer(200, echo).await,
            ]
        };
        let (published, asked) = tokio::join!(self.publisher.publish(seen), answers);
        published.unwrap();
        asked
    }
}

#[tokio::test]
async fn the_object_belongs_to_its_node() {
    let mut scene = scene();
    let seen = scene.look().await;
    let [owner, object, status] = scene.publish_first(&seen).await;
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
    let mut scene = scene();
    let seen = scene.look().await;
    scene.publish_first(&seen).await;
    // The server would have to answer any request, and nobody is there to do so.
    scene.publisher.publish(&seen).await.unwrap();

    let new = NewNamespace {
        name: "a".into(),
        region: RegionId("emulated-0".into()),
        footprint: Bytes::mib(16),
    };
    scene.devices.create(&new).unwrap();
    let seen = scene.look().await;
    let asked = scene.publish_status(&seen).await;
    assert_eq!(asked.body["status"]["layoutRevision"], 2);
    assert_eq!(asked.body["status"]["regions"][0]["free"][0]["start"], 16 << 20);
    assert_eq!(asked.body["status"]["regions"][0]["foreign"]["count"], 1);
}

#[tokio::test]
async fn an_object_that_somebody_deleted_is_made_again() {
    let mut scene = scene();
    let mut seen = scene.look().await;
    scene.publish_first(&seen).await;
    seen.error = Some("cannot list".into());
    let (published, _) = tokio::join!(scene.publisher.publish(&seen), scene.server.not_found());
    assert_eq!(published.unwrap_err().to_string(), "cannot write PmemNode n");
    seen.last = None;
    let [_, object, status] = scene.publish_first(&seen).await;
    assert!(object.uri.contains("/pmemnodes/n?"));
    assert_eq!(status.body["status"]["layoutRevision"], 1);
    assert_eq!(status.body["status"]["totals"]["free"], 64 << 20);
    assert_eq!(status.body["status"]["conditions"][1]["reason"], "ListingFailed");
}

/// kube's store wakes only one of those who wait for it.
#[tokio::test]
async fn is_not_kept_waiting_by_the_controller() {
    let (volumes, mut writer) = reflector::store::<PmemVolume>();
    let controller = tokio::spawn({
        let volumes = volumes.clone();
        async move { volumes.wait_until_ready().await.is_ok() }
    });
    let publisher = tokio::spawn(async move { is_ready(&volumes).await });
    tokio::task::yield_now().await;
    writer.apply_watcher_event(&kube::runtime::watcher::Event::Init);
    writer.apply_watcher_event(&kube::runtime::watcher::Event::InitDone);
    assert!(publisher.await.unwrap());
    controller.abort();
}
