//! A pod that kube-scheduler found no node for, in reduced form.

use k8s_openapi::api::core::v1::{ObjectReference, Pod, PodCondition};
use kube::Resource;

use crate::claims::ClaimOfPod;

/// A pod that kube-scheduler found no node for: reduced, as there can be many.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitingPod {
    /// Its name, namespace and uid.
    pub reference: ObjectReference,
    /// Its claims, at least one.
    pub claims: Vec<ClaimOfPod>,
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
        let claims = ClaimOfPod::all_of(pod);
        (!claims.is_empty() && pod.metadata.deletion_timestamp.is_none()).then(|| Self {
            reference: ObjectReference {
                resource_version: None,
                ..pod.object_ref(&())
            },
            claims,
            condition: condition.clone(),
        })
    }

    /// Its uid, empty if the API server gave none.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.reference.uid.as_deref().unwrap_or_default()
    }

    /// Its namespace, empty if the API server gave none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.reference.namespace.as_deref().unwrap_or_default()
    }
}

fn is_unschedulable(condition: &PodCondition) -> bool {
    condition.type_ == "PodScheduled"
        && condition.status == "False"
        && condition.reason.as_deref() == Some("Unschedulable")
}
