//! Pods of a hollow cluster: they get a node and never run.

use anyhow::{Result, anyhow};
use k8s_openapi::api::core::v1::ServiceAccount;
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
