//! Pods and claims, made as fast as the API server takes them.

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::demand::ClaimDemand;
use crate::harness::hollow::pods::{NAMESPACE, PARALLEL, pod_object};

/// Makes all pods with their claims.
pub(super) async fn make(client: &Client, pods: &[Vec<ClaimDemand>]) -> Result<()> {
    let one = |(number, claims): (usize, &Vec<ClaimDemand>)| {
        let (client, claims) = (client.clone(), claims.clone());
        async move { make_pod(&client, &format!("p{number}"), &claims).await }
    };
    let made = stream::iter(pods.iter().enumerate().map(one));
    made.buffer_unordered(PARALLEL).try_collect::<()>().await
}

async fn make_pod(client: &Client, name: &str, demands: &[ClaimDemand]) -> Result<()> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), NAMESPACE);
    let names: Vec<String> = (0..demands.len()).map(|number| format!("{name}-{number}")).collect();
    for (claim, demand) in names.iter().zip(demands) {
        let object = serde_json::from_value(claim_object(claim, demand))?;
        let made = claims.create(&PostParams::default(), &object).await;
        made.with_context(|| format!("making the claim {claim}"))?;
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let object = serde_json::from_value(pod_object(name, &names))?;
    let made = pods.create(&PostParams::default(), &object).await;
    made.map(drop).with_context(|| format!("making the pod {name}"))
}

fn claim_object(name: &str, demand: &ClaimDemand) -> Value {
    json!({
        "metadata": { "name": name },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": demand.class,
            "resources": { "requests": { "storage": demand.size.get().to_string() } },
        },
    })
}
