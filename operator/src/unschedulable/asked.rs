//! What a pod that waits asks of a node.

use crds::{ClaimError, want_of_claim};
use csi::v1::CapacityRange;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec};
use kube::ResourceExt;
use placement::Want;

use super::{ClaimOfPod, WaitingPod};
use crate::controller::size::{Size, SizeError};
use crate::index::{Asks, Class, ClassError, Index};

/// Set by the scheduler once it chose a node for the claim; taken away when the volume cannot be made there.
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

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
    Space(Vec<Want>),
}

/// Why a claim can fit nowhere.
#[derive(Debug, thiserror::Error)]
enum Wrong {
    #[error(transparent)]
    Class(#[from] ClassError),
    #[error(transparent)]
    Claim(#[from] ClaimError),
    #[error(transparent)]
    Size(#[from] SizeError),
}

/// What `pod` asks of a node for `claims`: those of its claims that exist, by its own list.
#[must_use]
pub fn asked(pod: &WaitingPod, claims: &[(ClaimOfPod, PersistentVolumeClaim)], index: &Index) -> Asked {
    let mut wants = Vec::new();
    for (of, claim) in claims {
        let Some((spec, class)) = unbound(pod, of, claim, index) else {
            continue;
        };
        if is_being_made(claim, index) {
            return Asked::Chosen;
        }
        match want(spec, class) {
            Ok(want) => wants.push(want),
            Err(wrong) => return Asked::Impossible(format!("claim {}: {wrong}", of.name)),
        }
    }
    if wants.is_empty() {
        Asked::Nothing
    } else {
        Asked::Space(wants)
    }
}

/// The claim's spec and class, if it has no volume yet and waits for the pod to get one of ours.
fn unbound<'a>(
    pod: &WaitingPod,
    of: &ClaimOfPod,
    claim: &'a PersistentVolumeClaim,
    index: &'a Index,
) -> Option<(&'a PersistentVolumeClaimSpec, &'a Class)> {
    let spec = claim.spec.as_ref().filter(|spec| is_unset(spec.volume_name.as_ref()))?;
    let class = index.class(spec.storage_class_name.as_deref()?)?;
    let foreign = of.ephemeral && !claim.owner_references().iter().any(|owner| owner.uid == pod.uid());
    (class.waits_for_pod && !foreign).then_some((spec, class))
}

/// Whether a node was chosen for it, or its volume takes space already: it must not be counted against itself.
fn is_being_made(claim: &PersistentVolumeClaim, index: &Index) -> bool {
    let chosen = claim.annotations().get(SELECTED_NODE);
    let volume = claim.uid().map(|uid| format!("pvc-{uid}"));
    !is_unset(chosen) || volume.is_some_and(|name| index.volume(&name).is_some())
}

fn is_unset(text: Option<&String>) -> bool {
    text.is_none_or(String::is_empty)
}

fn want(spec: &PersistentVolumeClaimSpec, class: &Class) -> Result<Want, Wrong> {
    let asks = class.asks.clone()?;
    let want = want_of_claim(spec, &asks.parameters)?;
    let range = CapacityRange {
        required_bytes: want.required.get(),
        limit_bytes: want.limit.map_or(0, placement::Bytes::get),
    };
    Size::of(Some(&range), filesystem(spec, &asks))?;
    Ok(want)
}

fn filesystem(spec: &PersistentVolumeClaimSpec, asks: &Asks) -> Option<crate::filesystem::Filesystem> {
    (spec.volume_mode.as_deref() != Some("Block")).then_some(asks.filesystem)
}
