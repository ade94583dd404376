//! What a pod that waits asks of a node.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec};
use placement::VolumeRequest;

use super::WaitingPod;
use crate::claims::{ClaimOfPod, is_bound, name_of_volume, request, selected_node};
use crate::index::{Class, Index};

/// What a pod that waits asks of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nothing of ours.
    Nothing,
    /// Nothing now: a node was chosen for one of its claims, and the volume may be on its way.
    Chosen,
    /// What no node has: something is wrong with a claim, as the text says.
    Impossible(String),
    /// Space for these claims together.
    Space(Vec<VolumeRequest>),
}

/// What `pod` asks of a node for `claims`: those of its claims that exist, by its own list.
#[must_use]
pub fn asked(pod: &WaitingPod, claims: &[(ClaimOfPod, PersistentVolumeClaim)], index: &Index) -> Asked {
    let mut requests = Vec::new();
    for (of, claim) in claims {
        let Some((spec, class)) = unbound(pod, of, claim, index) else {
            continue;
        };
        if is_being_made(claim, index) {
            return Asked::Chosen;
        }
        match request(spec, class) {
            Ok(request) => requests.push(request),
            Err(wrong) => return Asked::Impossible(format!("claim {}: {wrong}", of.name)),
        }
    }
    if requests.is_empty() {
        Asked::Nothing
    } else {
        Asked::Space(requests)
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

/// Whether a node was chosen for it, or its volume takes space already: it must not be counted against itself.
fn is_being_made(claim: &PersistentVolumeClaim, index: &Index) -> bool {
    let volume = name_of_volume(claim);
    selected_node(claim).is_some() || volume.is_some_and(|name| index.volume(&name).is_some())
}
