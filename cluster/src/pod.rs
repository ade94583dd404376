//! What matters of a pod.

use std::sync::Arc;

use k8s_openapi::api::core::v1 as api;

use crate::{ObjectKey, version};

/// What matters of a pod: which one it is, and its claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace, which is that of its claims too.
    pub namespace: Box<str>,
    /// Its name, which the names of its ephemeral claims begin with.
    pub name: Box<str>,
    /// Its unique id: the controller of its ephemeral claims.
    pub uid: Box<str>,
    /// Its resource version, which grows; 0 if it is not known.
    pub version: u64,
    /// The node that it is said to go to (`status.nominatedNodeName`).
    pub nominated_node: Option<Arc<str>>,
    /// Whether kube-scheduler is shown to have found no node for it: see [`waits_for_node`].
    pub waits: bool,
    /// Its gang, of which enough members are placed or none: the `PodGroup` that it is in (`spec.schedulingGroup`).
    pub gang: Option<ObjectKey>,
    claims: Vec<PodClaim>,
}

/// A claim of a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodClaim {
    /// Which claim.
    pub key: ObjectKey,
    /// Whether it is made for the pod, which then has to be its controller.
    pub ephemeral: bool,
}

/// A volume of a pod that has a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodVolume<'a> {
    /// The claim of this name.
    Claim(&'a str),
    /// A generic ephemeral volume of this name: its claim is made for the pod.
    Ephemeral(&'a str),
}

impl Pod {
    /// The pod `name` with these volumes. A generic ephemeral volume has the claim `<pod>-<volume>` (`VolumeClaimName` of
    /// k8s.io/component-helpers).
    #[must_use]
    pub fn new<'a>(namespace: &str, name: &str, uid: &str, volumes: impl IntoIterator<Item = PodVolume<'a>>) -> Self {
        let claim = |volume| match volume {
            PodVolume::Claim(claim) => PodClaim {
                key: ObjectKey::new(namespace, claim),
                ephemeral: false,
            },
            PodVolume::Ephemeral(volume) => PodClaim {
                key: ObjectKey::new(namespace, &format!("{name}-{volume}")),
                ephemeral: true,
            },
        };
        let mut claims: Vec<PodClaim> = volumes.into_iter().map(claim).collect();
        claims.sort_unstable();
        claims.dedup();
        Self {
            namespace: namespace.into(),
            name: name.into(),
            uid: uid.into(),
            version: 0,
            nominated_node: None,
            waits: false,
            gang: None,
            claims,
        }
    }

    /// The same pod as it is at this resource version, where it is said to go to this node; an empty text is none.
    #[must_use]
    pub fn at(mut self, resource_version: &str, nominated_node: &str) -> Self {
        self.version = version::number(resource_version).unwrap_or_default();
        self.nominated_node = (!nominated_node.is_empty()).then(|| nominated_node.into());
        self
    }

    /// The same pod in the `PodGroup` of this name; an empty text is none.
    #[must_use]
    pub fn in_group(mut self, group: &str) -> Self {
        self.gang = (!group.is_empty()).then(|| ObjectKey::new(&self.namespace, group));
        self
    }

    /// Its claims by name, each once.
    #[must_use]
    pub fn claims(&self) -> &[PodClaim] {
        &self.claims
    }

    /// Namespace and name.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(&self.namespace, &self.name)
    }
}

/// The condition `PodScheduled` of a pod that kube-scheduler has found no node for: why, and since when. None if it has a node, is
/// being deleted, or was not tried yet.
#[must_use]
pub fn waits_for_node(pod: &api::Pod) -> Option<&api::PodCondition> {
    let has_node = pod.spec.as_ref().is_none_or(|spec| spec.node_name.is_some());
    if has_node || pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let mut conditions = pod.status.as_ref()?.conditions.iter().flatten();
    conditions.find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    })
}

impl From<&api::Pod> for Pod {
    fn from(pod: &api::Pod) -> Self {
        fn text(text: Option<&String>) -> &str {
            text.map_or("", String::as_str)
        }
        let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let status = pod.status.as_ref();
        let nominated = status.and_then(|status| status.nominated_node_name.as_ref());
        let spec = pod.spec.as_ref();
        let group = spec.and_then(|spec| spec.scheduling_group.as_ref()?.pod_group_name.as_ref());
        let shown = Self::new(
            text(pod.metadata.namespace.as_ref()),
            text(pod.metadata.name.as_ref()),
            text(pod.metadata.uid.as_ref()),
            volumes.filter_map(volume),
        )
        .at(text(pod.metadata.resource_version.as_ref()), text(nominated))
        .in_group(text(group));
        Self {
            waits: waits_for_node(pod).is_some(),
            ..shown
        }
    }
}

fn volume(volume: &api::Volume) -> Option<PodVolume<'_>> {
    match (&volume.persistent_volume_claim, &volume.ephemeral) {
        (Some(source), _) => Some(PodVolume::Claim(&source.claim_name)),
        (None, Some(_)) => Some(PodVolume::Ephemeral(&volume.name)),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_are_named_once() {
        let pod: api::Pod = serde_json::from_value(json!({
            "metadata": { "namespace": "ns", "name": "p", "uid": "u", "resourceVersion": "7" },
            "status": { "nominatedNodeName": "n" },
            "spec": { "containers": [], "volumes": [
                { "name": "scratch", "ephemeral": {} },
                { "name": "data", "persistentVolumeClaim": { "claimName": "data" } },
                { "name": "again", "persistentVolumeClaim": { "claimName": "data" } },
                { "name": "tmp", "emptyDir": {} },
            ] },
        }))
        .unwrap();
        let pod = Pod::from(&pod);
        assert_eq!((pod.version, pod.nominated_node.as_deref()), (7, Some("n")));
        let claims: Vec<_> = pod
            .claims()
            .iter()
            .map(|of| (of.key.to_string(), of.ephemeral))
            .collect();
        assert_eq!(claims, [("ns/data".into(), false), ("ns/p-scratch".into(), true)]);
    }
}
