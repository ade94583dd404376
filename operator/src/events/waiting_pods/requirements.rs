//! What a pod that waits requires of a node.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec};
use placement::VolumeRequest;

use super::pod::WaitingPod;
use crate::claims::{ClaimOfPod, is_bound, name_of_volume, request, selected_node};
use crate::index::{Class, Index};

/// What a pod that waits requires of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirements {
    /// Nothing of ours.
    Nothing,
    /// Nothing now: one of its claims has a selected node, and its volume may be on its way.
    Assigned,
    /// What no node can have: something is wrong with a claim, as the text says.
    Impossible(String),
    /// Space for these claims together.
    Space(Vec<VolumeRequest>),
}

/// What `pod` requires of a node for `claims`, which are its claims as it lists them and as they exist.
#[must_use]
pub fn requirements(pod: &WaitingPod, claims: &[(ClaimOfPod, PersistentVolumeClaim)], index: &Index) -> Requirements {
    let mut requests = Vec::new();
    for (of, claim) in claims {
        let Some((spec, class)) = unbound(pod, of, claim, index) else {
            continue;
        };
        if is_assigned(claim, index) {
            return Requirements::Assigned;
        }
        match request(spec, class) {
            Ok(request) => requests.push(request),
            Err(error) => return Requirements::Impossible(format!("claim {}: {error}", of.name)),
        }
    }
    if requests.is_empty() {
        Requirements::Nothing
    } else {
        Requirements::Space(requests)
    }
}

/// The claim's spec and class, if it has no volume yet and waits for the pod to get one of ours.
fn unbound<'a>(
    pod: &WaitingPod,
    of: &ClaimOfPod,
    claim: &'a PersistentVolumeClaim,
    index: &'a Index,
) -> Option<(&'a PersistentVolumeClaimSpec, &'a Class)> {
    let spec = claim.spec.as_ref().filter(|_| !is_bound(claim))?;
    let class = index.class(spec.storage_class_name.as_deref()?)?;
    (class.waits_for_pod && of.is(claim, pod.uid())).then_some((spec, class))
}

/// Whether it has a selected node, or its volume takes space already: it must not be counted against itself.
fn is_assigned(claim: &PersistentVolumeClaim, index: &Index) -> bool {
    let volume = name_of_volume(claim);
    selected_node(claim).is_some() || volume.is_some_and(|name| index.volume(&name).is_some())
}
