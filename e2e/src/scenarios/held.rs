//! What the extender has reserved, by the eyes of a pod that nobody schedules.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::harness::client;
use crate::harness::hollow::HollowCluster;
use crate::harness::hollow::pods::{NAMESPACE, pod_object};

/// A pod with a claim, both called `name`, that no scheduler takes up.
pub(super) fn onlooker(name: &str) -> Value {
    let mut pod = pod_object(name, &[name.to_owned()]);
    pod["spec"]["schedulerName"] = json!("nobody");
    pod
}

/// On how many nodes space is reserved for other pods than the onlooker.
pub(super) async fn held_nodes(cluster: &HollowCluster, onlooker: &str) -> Result<usize> {
    let path = format!("/v1/explain?namespace={NAMESPACE}&pod={onlooker}");
    let explained: Value = serde_json::from_str(&client::get(&cluster.extender()?, &path).await?)?;
    let nodes = explained["nodes"].as_array().context("no nodes")?;
    let holds = |node: &&Value| node["reserved"].as_array().is_some_and(|reserved| !reserved.is_empty());
    Ok(nodes.iter().filter(holds).count())
}
