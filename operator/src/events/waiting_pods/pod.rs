//! A pod that kube-scheduler found no node for, in reduced form.

use cluster::waits_for_node;
use k8s_openapi::api::core::v1::{ObjectReference, Pod, PodCondition};
use kube::Resource;

/// A pod that kube-scheduler found no node for: reduced, as there can be many.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitingPod {
    /// Which pod, and its claims: at least one.
    pub pod: cluster::Pod,
    /// The pod as an event names it.
    pub reference: ObjectReference,
    /// Its condition `PodScheduled`: why the scheduler found none, and since when.
    pub condition: PodCondition,
}

impl WaitingPod {
    /// Reads a pod; none if it has no claims, has a node, is being deleted, or the scheduler has not yet found none.
    #[must_use]
    pub fn of(pod: &Pod) -> Option<Self> {
        let condition = waits_for_node(pod)?;
        let reduced = cluster::Pod::from(pod);
        let has_claims = !reduced.claims().is_empty();
        has_claims.then(|| Self {
            pod: reduced,
            reference: ObjectReference {
                resource_version: None,
                ..pod.object_ref(&())
            },
            condition: condition.clone(),
        })
    }
}
