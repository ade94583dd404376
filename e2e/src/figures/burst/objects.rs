//! Pods and claims, made as fast as the API server takes them.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, ServiceAccount};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::demand::ClaimDemand;
use crate::cluster::wait::{Probe, until};

/// Where the pods are.
pub(in crate::figures) const NAMESPACE: &str = "default";
/// Pods that are being made at the same time.
const PARALLEL: usize = 64;
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until pods can be made: without a service account they are refused.
pub(in crate::figures) async fn can_be_made(client: &Client) -> Result<()> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), NAMESPACE);
    until("the service account of the pods", PATIENCE, async || {
        match accounts.get_opt("default").await {
            Ok(Some(_)) => Probe::Ready(()),
            Ok(None) => Probe::NotYet(anyhow!("it is not there")),
            Err(error) => Probe::NotYet(error.into()),
        }
    })
    .await
}

/// Makes all pods with their claims.
///
/// # Errors
/// The API server refuses one.
pub(super) async fn make(client: &Client, pods: &[Vec<ClaimDemand>]) -> Result<()> {
    let one = |(number, claims): (usize, &Vec<ClaimDemand>)| {
        let (client, claims) = (client.clone(), claims.clone());
        async move { make_pod(&client, &format!("p{number}"), &claims).await }
    };
    let made = stream::iter(pods.iter().enumerate().map(one));
    made.buffer_unordered(PARALLEL).try_collect::<()>().await
}

async fn make_pod(client: &Client, name: &str, asks: &[ClaimDemand]) -> Result<()> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), NAMESPACE);
    let names: Vec<String> = (0..asks.len()).map(|number| format!("{name}-{number}")).collect();
    for (claim, ask) in names.iter().zip(asks) {
        let object = serde_json::from_value(claim_object(claim, ask))?;
        let made = claims.create(&PostParams::default(), &object).await;
        made.with_context(|| format!("making the claim {claim}"))?;
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let object = serde_json::from_value(pod_object(name, &names))?;
    let made = pods.create(&PostParams::default(), &object).await;
    made.map(drop).with_context(|| format!("making the pod {name}"))
}

fn claim_object(name: &str, ask: &ClaimDemand) -> Value {
    json!({
        "metadata": { "name": name },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": ask.class,
            "resources": { "requests": { "storage": ask.size.get().to_string() } },
        },
    })
}

/// A pod with these claims. It will never run.
pub(in crate::figures) fn pod_object(name: &str, claims: &[String]) -> Value {
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
