//! Which claims a pod has.

use crate::object_key::ObjectKey;
use crate::pod::{Pod, Volume};

/// A claim of a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaimOfPod {
    /// Which claim.
    pub key: ObjectKey,
    /// Whether it is made with the pod, which then has to be its owner.
    pub ephemeral: bool,
}

/// The claims of a pod, each once. A generic ephemeral volume has the claim `<pod>-<volume>`
/// (`VolumeClaimName` of k8s.io/component-helpers).
#[must_use]
pub fn claims_of_pod(pod: &Pod) -> Vec<ClaimOfPod> {
    let mut claims: Vec<ClaimOfPod> = pod
        .spec
        .volumes
        .iter()
        .filter_map(|volume| claim_of(pod, volume))
        .collect();
    claims.sort_unstable();
    claims.dedup();
    claims
}

fn claim_of(pod: &Pod, volume: &Volume) -> Option<ClaimOfPod> {
    let namespace = &pod.metadata.namespace;
    let made_with_pod = || format!("{}-{}", pod.metadata.name, volume.name);
    let (name, ephemeral) = match (&volume.persistent_volume_claim, &volume.ephemeral) {
        (Some(claim), _) => (claim.claim_name.clone(), false),
        (None, Some(_)) => (made_with_pod(), true),
        (None, None) => return None,
    };
    Some(ClaimOfPod {
        key: ObjectKey::new(namespace, &name),
        ephemeral,
    })
}
