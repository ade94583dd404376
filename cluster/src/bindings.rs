//! Which claims of a pod kube-scheduler binds to volumes that exist, so that none is made for them (`findMatchingVolumes` of its
//! plugin `VolumeBinding`, `FindMatchingVolume` of k8s.io/component-helpers).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::{AvailableVolume, Claim, Class, Lookup, ObjectKey, Pod};

/// Claims that kube-scheduler binds to volumes that exist.
pub type ServedClaims = BTreeMap<ObjectKey, ServedClaim>;

/// A claim that kube-scheduler binds to a volume that exists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServedClaim {
    /// The unique id of the claim.
    pub uid: Arc<str>,
    /// The name of the `PersistentVolume`.
    pub volume: Box<str>,
}

/// What kube-scheduler binds for one pod, depending on the node that the pod goes to.
#[derive(Debug, Default)]
pub struct Bindings {
    nodes: BTreeMap<Box<str>, ServedClaims>,
    elsewhere: ServedClaims,
}

impl Bindings {
    /// For `pod`, if these `volumes` are available. Those in `promised`, by name, go to the claim of that unique id.
    ///
    /// Of the claims that the lookup does not have, nothing is said. A volume that is kept for a claim serves it wherever the pod
    /// goes: kube-controller-manager binds both without asking about nodes.
    #[must_use]
    pub fn new<'v>(
        pod: &Pod,
        lookup: &impl Lookup,
        volumes: impl IntoIterator<Item = &'v AvailableVolume>,
        promised: &HashMap<&str, &str>,
    ) -> Self {
        let claims = claims_to_bind(pod, lookup);
        let is_of_interest = |volume: &&AvailableVolume| {
            let mut claims = claims.iter();
            claims.any(|(key, claim)| claim.has_been_kept(key, volume) || claim.matches(volume))
        };
        let mut volumes: Vec<_> = volumes.into_iter().filter(is_of_interest).collect();
        volumes.sort_unstable_by_key(|volume| (volume.capacity, &volume.name));
        let serve = |node: Option<&str>| serve(&claims, &volumes, promised, node);
        let nodes: BTreeSet<&str> = volumes
            .iter()
            .flat_map(|volume| volume.nodes.iter().flatten())
            .map(|node| &**node)
            .collect();
        Self {
            nodes: nodes.into_iter().map(|node| (node.into(), serve(Some(node)))).collect(),
            elsewhere: serve(None),
        }
    }

    /// What it binds on the node of this name.
    #[must_use]
    pub fn on(&self, node: &str) -> &ServedClaims {
        self.nodes.get(node).unwrap_or(&self.elsewhere)
    }

    /// The nodes with volumes that cannot be reached from everywhere, with what it binds there.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &ServedClaims)> {
        self.nodes.iter().map(|(node, served)| (&**node, served))
    }

    /// What it binds on all other nodes.
    #[must_use]
    pub fn elsewhere(&self) -> &ServedClaims {
        &self.elsewhere
    }
}

/// The claims of a pod that volumes are sought for, the smallest first. Not those that show a node: they get a volume of their own.
fn claims_to_bind<'c>(pod: &'c Pod, lookup: &'c impl Lookup) -> Vec<(&'c ObjectKey, &'c Claim)> {
    let claims = pod.claims().iter().filter_map(|of| {
        let claim = lookup.claim(&of.key).ok()??;
        let class = lookup.class(claim.class.as_deref()?).ok()?.and_then(Class::ours)?;
        let is_open = claim.persistent_volume.is_none() && claim.selected_node.is_none() && class.waits_for_pod;
        let is_being_made = lookup.volume(&claim.volume_name()).is_some();
        (is_open && !is_being_made && claim.is_meant_by(&pod.uid, of)).then_some((&of.key, claim))
    });
    let mut claims: Vec<_> = claims.collect();
    claims.sort_by_key(|(_, claim)| claim.requested());
    claims
}

/// For each claim the smallest of the volumes on a node, or of those that can be reached from all, that is left.
fn serve(
    claims: &[(&ObjectKey, &Claim)],
    volumes: &[&AvailableVolume],
    promised: &HashMap<&str, &str>,
    node: Option<&str>,
) -> ServedClaims {
    let mut left: Vec<&AvailableVolume> = volumes.to_vec();
    let mut served = ServedClaims::new();
    for (key, claim) in claims {
        let is_kept = |volume: &AvailableVolume| match promised.get(&*volume.name) {
            Some(uid) => **uid == *claim.uid,
            None => claim.has_been_kept(key, volume),
        };
        let is_here =
            |volume: &AvailableVolume| node.map_or(volume.nodes.is_none(), |node| volume.is_reached_from(node));
        let is_free = |volume: &AvailableVolume| {
            !promised.contains_key(&*volume.name) && claim.matches(volume) && is_here(volume)
        };
        let kept = left.iter().position(|volume| is_kept(volume));
        if let Some(position) = kept.or_else(|| left.iter().position(|volume| is_free(volume))) {
            let served_claim = ServedClaim {
                uid: (&*claim.uid).into(),
                volume: left.remove(position).name.clone(),
            };
            served.insert((*key).clone(), served_claim);
        }
    }
    served
}

#[cfg(test)]
mod tests;
