//! Says of a node whose driver is silent that nobody knows what it has: its PmemNode is not ready.
//!
//! Whoever asks whether volumes can be made on a node reads that there, so no other program watches Leases. The driver writes its
//! report over as soon as it is back.

mod leases;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use cluster::watch::{self, SharedIndex as Shared};
use crds::{DRIVER_SILENT, PmemNode, PmemNodeStatus, READY, driver_lease};
use heartbeat::Heartbeat;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, Time};
use kube::api::{Patch, PatchParams};
use kube::runtime::watcher::Config;
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use tokio::time::sleep;
use tracing::warn;

use leases::Leases;

use crate::index::SharedIndex;

/// Our own Lease, by which we see that renewals come through.
const OWN_LEASE: &str = "operator";

/// The Leases, shared with their watch.
#[derive(Clone, Debug)]
struct SharedLeases(Arc<Mutex<Leases>>);

impl Default for SharedLeases {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Leases::new(OWN_LEASE))))
    }
}

impl Shared for SharedLeases {
    type Index = Leases;

    fn update(&self, change: impl FnOnce(&mut Leases)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl SharedLeases {
    fn silent(&self) -> Vec<Box<str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).silent()
    }
}

/// Watches the Leases in `namespace`, renews our own there, and marks the nodes whose drivers are silent, for ever.
pub async fn run(client: Client, namespace: String, index: SharedIndex) {
    let leases = SharedLeases::default();
    let api = Api::<Lease>::namespaced(client.clone(), &namespace);
    let watching = watch::run(api, Config::default(), leases.clone());
    tokio::join!(watching, mark_silent(client, namespace, leases, index));
}

async fn mark_silent(client: Client, namespace: String, leases: SharedLeases, index: SharedIndex) {
    let own = Heartbeat::new(client.clone(), &namespace, OWN_LEASE, OWN_LEASE);
    let nodes: Api<PmemNode> = Api::all(client);
    let mut marked = HashSet::new();
    loop {
        let now = heartbeat::now();
        leases.update(|leases| leases.renewing(&now));
        if let Err(error) = beat(&own, &now).await {
            warn!(
                error = program::chain(&error),
                "own Lease not renewed: no driver is called silent meanwhile"
            );
        }
        sleep(heartbeat::EVERY).await;
        let silent = leases.silent();
        marked.retain(|node| silent.contains(node));
        for node in silent {
            // Its driver wrote its report over, and yet does not renew the Lease: it is of an earlier version.
            if marked.contains(&node) && !index.read(|index| index.is_silent(&node)) {
                marked.remove(&node);
                leases.update(|leases| leases.forget(&node));
            } else if mark(&nodes, &index, &node).await {
                marked.insert(node);
            }
        }
    }
}

async fn beat(own: &Heartbeat, now: &MicroTime) -> kube::Result<()> {
    if own.renew(now).await? {
        return Ok(());
    }
    own.create(now, None).await
}

/// Unless it is marked, or is reporting at this moment: then its version is another. Whether it was marked now.
async fn mark(nodes: &Api<PmemNode>, index: &SharedIndex, name: &str) -> bool {
    let Some(patch) = index.read(|index| patch(index.node(name)?)) else {
        return false;
    };
    let patch = Patch::Merge(patch);
    let marked = nodes.patch_status(name, &PatchParams::default(), &patch).await;
    match &marked {
        Ok(_) => warn!(
            node = name,
            "its driver is silent: it counts as having no room until it reports again"
        ),
        Err(error) => warn!(
            node = name,
            error = program::chain(error),
            "not marked as silent, trying again"
        ),
    }
    marked.is_ok()
}

/// The patch (RFC 7386) that marks a node as silent; none if it is, or has never reported.
#[must_use]
pub fn patch(node: &PmemNode) -> Option<serde_json::Value> {
    let status = node.status.as_ref().filter(|status| !status.is_silent())?;
    Some(json!({
        "metadata": { "uid": node.metadata.uid, "resourceVersion": node.metadata.resource_version },
        "status": { "conditions": conditions(status, &node.name_any()) },
    }))
}

fn conditions(status: &PmemNodeStatus, node: &str) -> Vec<Condition> {
    let silent = Condition {
        type_: READY.into(),
        status: "Unknown".into(),
        reason: DRIVER_SILENT.into(),
        message: format!(
            "the driver has not renewed Lease {} for some time: see whether node and pod of the node driver run; no volume is made here \
             until it reports again",
            driver_lease(node)
        ),
        last_transition_time: Time(program::now()),
        observed_generation: None,
    };
    let others = status.conditions.iter().filter(|condition| condition.type_ != READY);
    others.cloned().chain([silent]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_else_was_reported_stays_and_a_marked_node_is_left_alone() {
        let condition = |kind: &str| json!({ "type": kind, "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-02T00:00:00Z" });
        let mut node: PmemNode = serde_json::from_value(json!({
            "apiVersion": "daxfit.dev/v1alpha1", "kind": "PmemNode",
            "metadata": { "name": "n", "uid": "u", "resourceVersion": "7" },
            "status": { "conditions": [condition("Prepared"), condition("Ready")] },
        }))
        .unwrap();
        let marked = patch(&node).unwrap();
        assert_eq!(marked["metadata"], json!({ "uid": "u", "resourceVersion": "7" }));
        let status: PmemNodeStatus = serde_json::from_value(marked["status"].clone()).unwrap();
        let of_kind = |kind: &str| {
            status
                .conditions
                .iter()
                .find(|condition| condition.type_ == kind)
                .unwrap()
        };
        assert_eq!(status.conditions.len(), 2);
        assert_eq!(of_kind("Prepared").status, "True");
        assert_eq!(of_kind(READY).status, "Unknown");
        assert!(status.is_silent());
        node.status = Some(status);
        assert_eq!(patch(&node), None);
        node.status = None;
        assert_eq!(patch(&node), None);
    }
}
