//! What the extender has reserved, by the eyes of a pod that nobody schedules.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};

use crate::harness::client;
use crate::harness::hollow::HollowCluster;
use crate::harness::hollow::pods::{NAMESPACE, pod_object};
use crate::harness::wait::{Probe, until};

/// A pod with a claim, both called `name`, that no scheduler takes up.
pub(super) fn onlooker(name: &str) -> Value {
    let mut pod = pod_object(name, &[name.to_owned()]);
    pod["spec"]["schedulerName"] = json!("nobody");
    pod
}

/// docs/scheduling.md: a deleted pod holds nothing after 20 s, and a second or two until that is looked at.
const NOTHING_WITHIN: Duration = Duration::from_secs(45);

/// Waits until nothing is reserved for other pods than the onlooker.
pub(super) async fn holds_nothing(cluster: &HollowCluster, onlooker: &str) -> Result<()> {
    holds_nothing_within(cluster, onlooker, NOTHING_WITHIN).await
}

/// The same, within another time.
pub(super) async fn holds_nothing_within(cluster: &HollowCluster, onlooker: &str, time: Duration) -> Result<()> {
    until("nothing is held", time, async || {
        match held_nodes(cluster, onlooker).await {
            Ok(0) => Probe::Ready(()),
            Ok(nodes) => Probe::NotYet(anyhow!("space is held on {nodes} nodes")),
            Err(error) => Probe::NotYet(error),
        }
    })
    .await
}

/// On how many nodes space is reserved for other pods than the onlooker.
pub(super) async fn held_nodes(cluster: &HollowCluster, onlooker: &str) -> Result<usize> {
    let path = format!("/v1/explain?namespace={NAMESPACE}&pod={onlooker}");
    let explained: Value = serde_json::from_str(&client::get(&cluster.extender()?, &path).await?)?;
    let nodes = explained["nodes"].as_array().context("no nodes")?;
    let holds = |node: &&Value| node["reserved"].as_array().is_some_and(|reserved| !reserved.is_empty());
    Ok(nodes.iter().filter(holds).count())
}
