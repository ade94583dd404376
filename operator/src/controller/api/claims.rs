//! Reading claims, their pods and their classes at the API server.

use crds::DRIVER_NAME;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::ListParams;
use kube::{Api, Client};

use super::ApiError;
use crate::controller::volume_id::VolumeId;
use crate::index::Class;

/// Pods that have no node and have not ended: the pods that wait for a volume are among them.
const WAITING: &str = "spec.nodeName=,status.phase=Pending";

/// Reads pods, claims and classes, each on behalf of one volume. Clones share one client.
#[derive(Clone)]
pub struct ClaimsApi {
    client: Client,
}

impl ClaimsApi {
    /// All calls go through `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The pods of `namespace` that wait for a node.
    pub(in crate::controller) async fn waiting_pods(
        &self,
        id: &VolumeId,
        namespace: &str,
    ) -> Result<Vec<Pod>, ApiError> {
        let pods = Api::<Pod>::namespaced(self.client.clone(), namespace);
        let listed = pods.list(&ListParams::default().fields(WAITING)).await;
        let listed = listed.map_err(|error| ApiError::new("list the pods that wait for volume", id, error))?;
        Ok(listed.items.into_iter().filter(waits).collect())
    }

    /// The claim of that name, if it exists.
    pub(in crate::controller) async fn claim(
        &self,
        id: &VolumeId,
        namespace: &str,
        name: &str,
    ) -> Result<Option<PersistentVolumeClaim>, ApiError> {
        let claims = Api::<PersistentVolumeClaim>::namespaced(self.client.clone(), namespace);
        let claim = claims.get_opt(name).await;
        claim.map_err(|error| ApiError::new("look up the claims of the pods of volume", id, error))
    }

    /// The class of that name, if it exists and is ours.
    pub(in crate::controller) async fn class(&self, id: &VolumeId, name: &str) -> Result<Option<Class>, ApiError> {
        let class = Api::<StorageClass>::all(self.client.clone()).get_opt(name).await;
        let class = class.map_err(|error| ApiError::new("look up the classes of the pods of volume", id, error))?;
        Ok(class
            .filter(|class| class.provisioner == DRIVER_NAME)
            .map(|class| Class::of(&class)))
    }
}

/// Whether a pod may wait for volumes.
fn waits(pod: &Pod) -> bool {
    let has_node = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    !has_node && pod.metadata.deletion_timestamp.is_none()
}
