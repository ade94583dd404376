//! Which claims a pod has.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Volume};
use kube::ResourceExt;

/// A claim of a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaimOfPod {
    /// Its name.
    pub name: String,
    /// Whether it is made with the pod, which then has to be its owner.
    pub ephemeral: bool,
}

impl ClaimOfPod {
    /// The claims of `pod`, each once. A generic ephemeral volume has the claim `<pod>-<volume>` (`VolumeClaimName` of
    /// k8s.io/component-helpers).
    #[must_use]
    pub fn all_of(pod: &Pod) -> Vec<Self> {
        let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let mut claims: Vec<Self> = volumes
            .filter_map(|volume| of_volume(&pod.name_any(), volume))
            .collect();
        claims.sort_unstable();
        claims.dedup();
        claims
    }

    /// Whether `claim`, which has this name, is really this claim of the pod with the unique id `pod`.
    #[must_use]
    pub fn is(&self, claim: &PersistentVolumeClaim, pod: &str) -> bool {
        !self.ephemeral || claim.owner_references().iter().any(|owner| owner.uid == pod)
    }
}

fn of_volume(pod: &str, volume: &Volume) -> Option<ClaimOfPod> {
    match (&volume.persistent_volume_claim, &volume.ephemeral) {
        (Some(claim), _) => Some(ClaimOfPod {
            name: claim.claim_name.clone(),
            ephemeral: false,
        }),
        (None, Some(_)) => Some(ClaimOfPod {
            name: format!("{pod}-{}", volume.name),
            ephemeral: true,
        }),
        (None, None) => None,
    }
}
