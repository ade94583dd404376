//! Pods of a hollow cluster: they get a node and never run.

use anyhow::{Context, Result, anyhow};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::harness::wait::{HANG_LIMIT, Probe, until};

/// Where the pods are.
pub(crate) const NAMESPACE: &str = "default";
/// How many calls of the API server are under way while many objects are made.
pub(crate) const PARALLEL: usize = 64;

/// Waits until pods can be made: without a service account they are refused.
pub(crate) async fn can_be_made(client: &Client) -> Result<()> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), NAMESPACE);
    until("the service account of the pods", HANG_LIMIT, async || {
        match accounts.get_opt("default").await {
            Ok(Some(_)) => Probe::Ready(()),
            Ok(None) => Probe::NotYet(anyhow!("it is not there")),
            Err(error) => Probe::NotYet(error.into()),
        }
    })
    .await
}

/// Makes an object in the namespace of the pods.
pub(crate) async fn make<K>(client: &Client, object: &Value) -> Result<()>
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), NAMESPACE);
    let made = api
        .create(&PostParams::default(), &serde_json::from_value(object.clone())?)
        .await;
    made.map(drop).with_context(|| format!("making {object}"))
}

/// A claim of this size.
pub(crate) fn claim_object(name: &str, size: &str) -> Value {
    json!({ "metadata": { "name": name }, "spec": claim_spec(size) })
}

/// What a claim of this size asks for.
pub(crate) fn claim_spec(size: &str) -> Value {
    json!({
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "daxfit-ext4",
        "resources": { "requests": { "storage": size } },
    })
}

/// A pod with these claims.
pub(crate) fn pod_object(name: &str, claims: &[String]) -> Value {
    let volume = |claim: &String| json!({ "name": claim, "persistentVolumeClaim": { "claimName": claim } });
    let mount = |claim: &String| json!({ "name": claim, "mountPath": format!("/{claim}") });
    json!({
        "metadata": { "name": name },
        "spec": {
            "automountServiceAccountToken": false,
            "containers": [{
                "name": "hollow",
                "image": "hollow",
                "volumeMounts": claims.iter().map(mount).collect::<Vec<_>>(),
            }],
            "volumes": claims.iter().map(volume).collect::<Vec<_>>(),
        },
    })
}
