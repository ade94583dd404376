//! Reading claims, their pods and their classes at the API server, in reduced form.

use std::collections::HashMap;

use cluster::names::PODS_WITHOUT_NODE;
use cluster::{Claim, Class, ObjectKey, Pod};
use k8s_openapi::api::core::v1 as api;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::ListParams;
use kube::{Api, Client};

/// Reads claims, pods and classes. Clones share one client.
///
/// Claims are not in the index: there are too many of them, and only those of pods that wait matter.
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

    /// The claim with this key, if it exists.
    ///
    /// # Errors
    /// If the API server does not answer; nothing is known of the claim then.
    pub async fn claim(&self, key: &ObjectKey) -> kube::Result<Option<Claim>> {
        let claims = Api::<api::PersistentVolumeClaim>::namespaced(self.client.clone(), &key.namespace);
        Ok(claims.get_opt(&key.name).await?.as_ref().map(Claim::from))
    }

    /// All claims, by their unique ids.
    ///
    /// # Errors
    /// If the API server does not answer; nothing is known of any claim then.
    pub async fn by_uid(&self) -> kube::Result<HashMap<String, ObjectKey>> {
        let claims = Api::<api::PersistentVolumeClaim>::all(self.client.clone());
        let listed = claims.list_metadata(&ListParams::default()).await?.items.into_iter();
        let by_uid = listed.filter_map(|claim| {
            let key = ObjectKey::new(claim.metadata.namespace.as_deref()?, claim.metadata.name.as_deref()?);
            Some((claim.metadata.uid?, key))
        });
        Ok(by_uid.collect())
    }

    /// The StorageClass of this name, if it exists.
    ///
    /// # Errors
    /// If the API server does not answer; nothing is known of the class then.
    pub async fn class(&self, name: &str) -> kube::Result<Option<Class>> {
        let classes = Api::<StorageClass>::all(self.client.clone());
        Ok(classes.get_opt(name).await?.as_ref().map(Class::from))
    }

    /// The pods of `namespace` that have no node and are not being deleted: pods that wait for a volume are among them.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub async fn waiting_pods(&self, namespace: &str) -> kube::Result<Vec<Pod>> {
        let pods = Api::<api::Pod>::namespaced(self.client.clone(), namespace);
        let listed = pods.list(&ListParams::default().fields(PODS_WITHOUT_NODE)).await?;
        Ok(listed.items.iter().filter(|pod| waits(pod)).map(Pod::from).collect())
    }
}

fn waits(pod: &api::Pod) -> bool {
    let has_node = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    !has_node && pod.metadata.deletion_timestamp.is_none()
}
