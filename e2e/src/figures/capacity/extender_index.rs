//! The extender's index, as `GET /v1/explain` shows it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::Request;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::PostParams;
use kube::{Api, Client};
use placement::Bytes;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::figures::delays::now;
use crate::harness::hollow::pods::{NAMESPACE, pod_object};
use crate::harness::wait::HANG_LIMIT;

/// A pod that fits nowhere, to be asked about.
const POD: &str = "waiting";
/// Between two questions; the time found is late by this much at most, and by the time that an answer takes.
const PAUSE: Duration = Duration::from_millis(2);

/// The extender, and a pod to ask about.
pub(super) struct ExtenderIndex {
    extender: Client,
}

#[derive(Debug, Deserialize)]
struct Explained {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    node: String,
    free: Bytes,
}

impl ExtenderIndex {
    /// Makes the pod.
    pub(super) async fn new(client: &Client, extender: Client) -> Result<Self> {
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), NAMESPACE);
        let claim = json!({
            "metadata": { "name": POD },
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "daxfit-ext4",
                "resources": { "requests": { "storage": "1Ti" } },
            },
        });
        claims
            .create(&PostParams::default(), &serde_json::from_value(claim)?)
            .await?;
        let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
        let pod = serde_json::from_value(pod_object(POD, &[POD.to_owned()]))?;
        pods.create(&PostParams::default(), &pod).await?;
        Ok(Self { extender })
    }

    /// Waits until the index has `expected` raw bytes free on `node`, and returns when it showed that, in nanoseconds since 1970.
    pub(super) async fn wait_for(&self, node: &str, expected: Bytes) -> Result<u64> {
        let begun = Instant::now();
        while self.free(node).await? != expected {
            ensure!(
                begun.elapsed() < HANG_LIMIT,
                "the index does not show {expected} on {node} within {HANG_LIMIT:?}"
            );
            sleep(PAUSE).await;
        }
        Ok(now())
    }

    async fn free(&self, node: &str) -> Result<Bytes> {
        let path = format!("/v1/explain?namespace={NAMESPACE}&pod={POD}");
        let request = Request::get(path).body(Vec::new())?;
        let explained: Explained = self.extender.request(request).await.context("asking the extender")?;
        let found = explained.nodes.iter().find(|found| found.node == node);
        Ok(found.with_context(|| format!("the index has no {node}"))?.free)
    }
}
