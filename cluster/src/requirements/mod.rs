//! What a pod requires of a node.

mod companions;
mod lookup;

use std::fmt;
use std::sync::Arc;

use placement::{Apart, NumaNode, NumaWish, VolumeRequest};

use crate::{Claim, ClaimError, Class, ObjectKey, Pod, PodClaim, ServedClaims};
use companions::ExistingCompanions;
pub use lookup::{IndexedOrRead, Lookup, NotIndexed, ReadObjects, VolumePlace};

/// What a pod requires of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Requirements {
    /// Nothing of ours: any node will do.
    Nothing,
    /// What no node has.
    Impossible(Impossible),
    /// All of this.
    Space(SpaceRequirements),
}

/// What a pod with claims of ours requires of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpaceRequirements {
    /// The nodes that its claims are on already, or are to be on. If they differ, no node will do.
    pub nodes: Vec<ClaimNode>,
    /// Its claims that have no volume yet: all of them need space. By name.
    pub claims: Vec<UnprovisionedClaim>,
}

/// The only node that will do, for the sake of one claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNode {
    /// The name of the node.
    pub node: Box<str>,
    /// How far the claim has come there.
    pub stage: ClaimStage,
    /// Why no other node will do, for people: "claim ns/data is on node n".
    pub reason: Arc<str>,
}

/// How far a claim has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimStage {
    /// It is bound: its volume is on the node.
    Bound,
    /// Its volume is being made on the node.
    BeingMade,
    /// kube-scheduler chose the node for it; there is no volume yet.
    Selected,
}

/// A claim that has no volume yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnprovisionedClaim {
    /// The unique id of the claim.
    pub uid: Arc<str>,
    /// Which claim.
    pub key: ObjectKey,
    /// What it asks for: where volumes exist that it has to be together with, on their NUMA node.
    pub request: VolumeRequest,
    /// The node that kube-scheduler chose for it, which is among [`SpaceRequirements::nodes`] too.
    pub selected_node: Option<Box<str>>,
}

/// Why no node has what a pod requires.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// A claim does not exist, or not yet.
    #[error("claim {0} does not exist")]
    NoClaim(ObjectKey),
    /// Another claim has the name of an ephemeral claim of the pod.
    #[error("claim {0} was not made for this pod")]
    NotForPod(ObjectKey),
    /// There can be no volume for a claim.
    #[error("claim {claim}: {error}")]
    Claim {
        /// Which claim.
        claim: ObjectKey,
        /// Why not.
        error: ClaimError,
    },
    /// A claim has to be together with volumes that are apart.
    #[error("claim {claim}: {apart}")]
    Apart {
        /// Which claim.
        claim: ObjectKey,
        /// Where the volumes are.
        apart: Apart,
    },
}

/// What one claim requires.
enum Requirement {
    Nothing,
    On(ClaimNode, Option<NumaNode>),
    Space(UnprovisionedClaim),
    Impossible(Impossible),
}

/// What `pod` requires of a node, if none of its claims is bound to a volume that exists.
///
/// # Errors
/// Everything that has to be read from the API server first; there may be more to read after that.
pub fn requirements_of(pod: &Pod, lookup: &impl Lookup) -> Result<Requirements, Vec<NotIndexed>> {
    requirements_beside(&ServedClaims::new(), pod, lookup)
}

/// What `pod` requires of a node where kube-scheduler will bind its claims in `served` to volumes that exist: these count as bound.
///
/// # Errors
/// Everything that has to be read from the API server first; there may be more to read after that.
pub fn requirements_beside(
    served: &ServedClaims,
    pod: &Pod,
    lookup: &impl Lookup,
) -> Result<Requirements, Vec<NotIndexed>> {
    let mut missing = Vec::new();
    let mut requirements = Vec::new();
    for claim in pod.claims() {
        match requirement_of(claim, served, pod, lookup) {
            Ok(requirement) => requirements.push(requirement),
            Err(what) => missing.push(what),
        }
    }
    if !missing.is_empty() {
        return Err(missing);
    }
    Ok(match sum(requirements) {
        Err(impossible) => Requirements::Impossible(impossible),
        Ok(sum) if sum.nodes.is_empty() && sum.claims.is_empty() => Requirements::Nothing,
        Ok(sum) => Requirements::Space(sum),
    })
}

fn sum(requirements: Vec<Requirement>) -> Result<SpaceRequirements, Impossible> {
    let (mut sum, mut companions) = (SpaceRequirements::default(), ExistingCompanions::default());
    for requirement in requirements {
        match requirement {
            Requirement::Nothing => {}
            Requirement::On(node, numa) => {
                companions.add(&node.node, numa);
                sum.nodes.push(node);
            }
            Requirement::Space(claim) => {
                let node = claim.selected_node.as_deref();
                sum.nodes
                    .extend(node.map(|node| claim_node(node, &claim.key, ClaimStage::Selected)));
                sum.claims.push(claim);
            }
            Requirement::Impossible(impossible) => return Err(impossible),
        }
    }
    companions.settle(&mut sum.claims)?;
    Ok(sum)
}

fn requirement_of(
    of: &PodClaim,
    served: &ServedClaims,
    pod: &Pod,
    lookup: &impl Lookup,
) -> Result<Requirement, NotIndexed> {
    let Some(claim) = lookup.claim(&of.key)? else {
        return Ok(Requirement::Impossible(Impossible::NoClaim(of.key.clone())));
    };
    if !claim.is_meant_by(&pod.uid, of) {
        return Ok(Requirement::Impossible(Impossible::NotForPod(of.key.clone())));
    }
    let served = served.get(&of.key).map(|served| &served.volume);
    let Some(bound) = claim.persistent_volume.as_ref().or(served) else {
        return requirement_of_unbound(&of.key, claim, lookup);
    };
    let mut place = lookup.bound_volume(bound);
    // Where it is decides where its companions may be. external-provisioner calls both alike.
    if place.and_then(|place| place.numa).is_none() && wishes_together(claim, lookup) {
        lookup.knows_volume(bound)?;
        place = place.or_else(|| lookup.volume(bound));
    }
    let on = |place| on_node(place, &of.key, claim, ClaimStage::Bound, lookup);
    Ok(place.map_or(Requirement::Nothing, on))
}

fn requirement_of_unbound(key: &ObjectKey, claim: &Claim, lookup: &impl Lookup) -> Result<Requirement, NotIndexed> {
    let class = match &claim.class {
        Some(name) => lookup.class(name)?,
        None => None,
    };
    // It is for kube-scheduler to complain about a claim without a class, or with one that does not exist.
    let Some(class) = class.and_then(Class::ours) else {
        return Ok(Requirement::Nothing);
    };
    let volume = claim.volume_name();
    if let Some(place) = lookup.volume(&volume) {
        return Ok(on_node(place, key, claim, ClaimStage::BeingMade, lookup));
    }
    if claim.selected_node.is_some() && wishes_together(claim, lookup) {
        lookup.knows_volume(&volume)?;
    }
    if !class.waits_for_pod {
        // It is made wherever it fits. Until then, kube-scheduler asks nobody about nodes for its pods.
        return Ok(Requirement::Nothing);
    }
    Ok(match claim.request(class) {
        Ok(request) => Requirement::Space(UnprovisionedClaim {
            uid: (&*claim.uid).into(),
            key: key.clone(),
            request,
            selected_node: claim.selected_node.clone(),
        }),
        Err(error) => Requirement::Impossible(Impossible::Claim {
            claim: key.clone(),
            error,
        }),
    })
}

fn on_node(
    place: VolumePlace<'_>,
    key: &ObjectKey,
    claim: &Claim,
    stage: ClaimStage,
    lookup: &impl Lookup,
) -> Requirement {
    let numa = place.numa.filter(|_| wishes_together(claim, lookup));
    Requirement::On(claim_node(place.node, key, stage), numa)
}

/// Whether its class wishes the volumes of a pod together, as far as the class is known.
fn wishes_together(claim: &Claim, lookup: &impl Lookup) -> bool {
    let class = claim
        .class
        .as_deref()
        .and_then(|name| lookup.class(name).ok().flatten());
    let settings = class.and_then(Class::ours).map(|class| &class.settings);
    settings.is_some_and(|settings| {
        settings
            .as_ref()
            .is_ok_and(|settings| settings.parameters.numa == NumaWish::Together)
    })
}

fn claim_node(node: &str, key: &ObjectKey, stage: ClaimStage) -> ClaimNode {
    ClaimNode {
        node: node.into(),
        stage,
        reason: format!("claim {key} {stage} node {node}").into(),
    }
}

impl fmt::Display for ClaimStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bound => "is on",
            Self::BeingMade => "is being made on",
            Self::Selected => "was given to",
        })
    }
}

impl Requirements {
    /// The claims that have no volume yet.
    #[must_use]
    pub fn claims(&self) -> &[UnprovisionedClaim] {
        match self {
            Self::Nothing | Self::Impossible(_) => &[],
            Self::Space(space) => &space.claims,
        }
    }
}

impl SpaceRequirements {
    /// What the claims without a volume ask for, in their order.
    #[must_use]
    pub fn requests(&self) -> Vec<VolumeRequest> {
        self.claims.iter().map(|claim| claim.request).collect()
    }

    /// Why the node of this name will not do, if a claim is on another one.
    #[must_use]
    pub fn reason_against(&self, node: &str) -> Option<&Arc<str>> {
        let elsewhere = self.nodes.iter().find(|claim| *claim.node != *node);
        elsewhere.map(|claim| &claim.reason)
    }
}

#[cfg(test)]
mod tests;
