//! The requests of a scheduling loop, each for another pod.

use serde_json::{Value, json};

use crate::cluster::{NODES, UNBOUND_CLAIMS, mix, node_name};

/// kube-scheduler looks for so many nodes of 5,000 and no more, unless `percentageOfNodesToScore` says otherwise
/// (`numFeasibleNodesToFind` in its `schedule_one.go`).
const BY_DEFAULT: usize = 500;

/// Pods with the same number of claims, one after the other.
pub struct Pods {
    claims: u64,
    next: u64,
    names: Vec<String>,
    /// So many of the names come with each pod.
    sent: usize,
}

impl Pods {
    /// Pods that have nothing to do with persistent memory.
    pub fn without_claims() -> Self {
        Self::with_claims(0)
    }

    /// Pods with `claims` claims of ours, not bound yet.
    ///
    /// kube-scheduler's order of nodes has nothing to do with that of the index, and begins elsewhere for each pod.
    pub fn with_claims(claims: u64) -> Self {
        let mut nodes: Vec<u64> = (0..NODES).collect();
        nodes.sort_unstable_by_key(|node| mix(*node));
        Self {
            claims,
            next: 1,
            sent: nodes.len(),
            names: nodes.into_iter().map(node_name).collect(),
        }
    }

    /// With no more nodes than kube-scheduler looks for by default.
    pub fn on_nodes_by_default(self) -> Self {
        Self {
            sent: BY_DEFAULT,
            ..self
        }
    }

    /// What kube-scheduler would send for the next pod.
    pub fn next_request(&mut self) -> serde_json::Result<Vec<u8>> {
        self.next += 1;
        self.names.rotate_left(1237);
        let claim = |i: u64| format!("claim-{}", mix(self.next * 16 + i) % UNBOUND_CLAIMS);
        let volume = |i: u64| json!({ "name": format!("v{i}"), "persistentVolumeClaim": { "claimName": claim(i) } });
        let volumes: Vec<Value> = (0..self.claims).map(volume).chain([service_account()]).collect();
        let pod = json!({
            "metadata": { "namespace": "ns", "name": format!("p-{}", self.next), "uid": format!("uid-{}", self.next) },
            "spec": { "volumes": volumes, "containers": [container()], "schedulerName": "default-scheduler" },
            "status": { "phase": "Pending" },
        });
        let names = serde_json::to_string(&self.names[..self.sent])?;
        // In the order in which Go writes them.
        let body = format!(r#"{{"Pod":{pod},"Nodes":null,"NodeNames":{names}}}"#);
        Ok(body.into_bytes())
    }
}

fn container() -> Value {
    json!({ "name": "main", "image": "app", "resources": { "requests": { "cpu": "100m", "memory": "128Mi" } } })
}

fn service_account() -> Value {
    json!({ "name": "token", "projected": { "sources": [{ "serviceAccountToken": { "path": "token" } }] } })
}
