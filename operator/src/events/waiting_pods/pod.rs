//! A pod that kube-scheduler found no node for, in reduced form.

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
        pod.spec.as_ref().filter(|spec| spec.node_name.is_none())?;
        let conditions = pod.status.as_ref()?.conditions.iter().flatten();
        let condition = conditions.into_iter().find(|condition| is_unschedulable(condition))?;
        let reduced = cluster::Pod::from(pod);
        let waits = !reduced.claims().is_empty() && pod.metadata.deletion_timestamp.is_none();
        waits.then(|| Self {
            pod: reduced,
            reference: ObjectReference {
                resource_version: None,
                ..pod.object_ref(&())
            },
            condition: condition.clone(),
        })
    }
}

fn is_unschedulable(condition: &PodCondition) -> bool {
    condition.type_ == "PodScheduled"
        && condition.status == "False"
        && condition.reason.as_deref() == Some("Unschedulable")
}
