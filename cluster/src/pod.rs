//! What matters of a pod.

use k8s_openapi::api::core::v1 as api;

use crate::ObjectKey;

/// What matters of a pod: which one it is, and its claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace, which is that of its claims too.
    pub namespace: Box<str>,
    /// Its name, which the names of its ephemeral claims begin with.
    pub name: Box<str>,
    /// Its unique id: the controller of its ephemeral claims.
    pub uid: Box<str>,
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
            claims,
        }
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

impl From<&api::Pod> for Pod {
    fn from(pod: &api::Pod) -> Self {
        let text = |text: &'_ Option<String>| text.clone().unwrap_or_default();
        let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        Self::new(
            &text(&pod.metadata.namespace),
            &text(&pod.metadata.name),
            &text(&pod.metadata.uid),
            volumes.filter_map(volume),
        )
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
            "metadata": { "namespace": "ns", "name": "p", "uid": "u" },
            "spec": { "containers": [], "volumes": [
                { "name": "scratch", "ephemeral": {} },
                { "name": "data", "persistentVolumeClaim": { "claimName": "data" } },
                { "name": "again", "persistentVolumeClaim": { "claimName": "data" } },
                { "name": "tmp", "emptyDir": {} },
            ] },
        }))
        .unwrap();
        let pod = Pod::from(&pod);
        let claims: Vec<_> = pod
            .claims()
            .iter()
            .map(|of| (of.key.to_string(), of.ephemeral))
            .collect();
        assert_eq!(claims, [("ns/data".into(), false), ("ns/p-scratch".into(), true)]);
    }
}
