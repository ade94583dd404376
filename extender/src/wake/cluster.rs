//! The object whose change makes kube-scheduler try again what it could not place, and the pods that this is for.

use cluster::{ObjectKey, Pod};
use k8s_openapi::api::core::v1 as api;
use k8s_openapi::api::storage::v1::CSIStorageCapacity;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

/// What the CSIStorageCapacity object is called that says nothing and is written to wake pods; `manifests/base/extender.yaml` has
/// it. A change that raises no limit queues only those that an extender refused (`isSchedulableAfterCSIStorageCapacityChange` of the plugin
/// `VolumeBinding`).
pub const WAKE_OBJECT: &str = "daxfit-wake";
/// Its annotation: how often pods were woken.
pub const WAKES: &str = "csi.daxfit.dev/wakes";
/// Its annotation: the pod that there was room for, and where.
const WOKEN_FOR: &str = "csi.daxfit.dev/woken-for";

/// Writes the wake object, and nothing else.
#[derive(Clone)]
pub struct Waker {
    client: Client,
    objects: Api<CSIStorageCapacity>,
    name: String,
}

impl Waker {
    /// `object` is the wake object.
    #[must_use]
    pub fn new(client: Client, object: &ObjectKey) -> Self {
        Self {
            objects: Api::namespaced(client.clone(), &object.namespace),
            name: object.name.to_string(),
            client,
        }
    }

    /// Whether the API server has this pod, and it has no node.
    ///
    /// # Errors
    /// If the API server does not say.
    pub async fn still_waits(&self, pod: &Pod) -> kube::Result<bool> {
        let pods: Api<api::Pod> = Api::namespaced(self.client.clone(), &pod.namespace);
        let now = pods.get_opt(&pod.name).await?;
        Ok(now.is_some_and(|now| {
            let has_node = now.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
            now.uid().as_deref() == Some(&*pod.uid) && !has_node && now.metadata.deletion_timestamp.is_none()
        }))
    }

    /// Makes kube-scheduler try all pods again that an extender refused, because there is room for `pod` on `node`.
    ///
    /// # Errors
    /// If the API server does not take the write. There may be no such object: then Daxfit is not installed completely.
    pub async fn wake(&self, pod: &Pod, node: &str) -> kube::Result<()> {
        let before = self.objects.get(&self.name).await?;
        // Every write has to change something, or nobody is told of it.
        let wakes = before
            .annotations()
            .get(WAKES)
            .and_then(|wakes| wakes.parse::<u64>().ok());
        let annotations = json!({
            WAKES: wakes.unwrap_or(0).wrapping_add(1).to_string(),
            WOKEN_FOR: format!("{} on {node}", pod.key()),
        });
        let patch = Patch::Merge(json!({ "metadata": { "annotations": annotations } }));
        let written = self.objects.patch(&self.name, &PatchParams::default(), &patch).await;
        written.map(drop)
    }
}
