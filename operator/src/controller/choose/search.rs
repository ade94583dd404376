//! Finds the companions of a claim: the pods that wait for it, and their other claims.

use std::collections::{BTreeMap, BTreeSet};

use cluster::{Claim, Class, Impossible, ObjectKey, OurClass, Pod, PodClaim};
use placement::{NumaWish, VolumeRequest};
use tonic::Code;

use super::companions::{CompanionClaims, stays};
use crate::controller::api::ApiError;
use crate::controller::request::CreateRequest;
use crate::controller::service::Service;
use crate::controller::volume_id::VolumeId;
use crate::index::Index;

/// Why the companions of a claim are not known.
#[derive(Debug, thiserror::Error)]
pub enum CompanionError {
    /// A node was selected for the claim, but no pod waits for it.
    #[error(
        "no pod waits for claim {0} any more, and its class wishes its volume on one NUMA node with the other volumes of \
         its pod: it is made once another pod uses the claim"
    )]
    NoPod(ObjectKey),
    /// A node was selected for the claim, but the only pods that name it are not the ones that it was made for.
    #[error("pod {pod}: {reason}")]
    NotForPod {
        /// The first of these pods, by namespace and name.
        pod: ObjectKey,
        /// Why it may not use the claim, in the words of the event on it.
        reason: Impossible,
    },
    /// A pod, a claim, a class or a volume could not be read.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl CompanionError {
    /// `RESOURCE_EXHAUSTED` makes external-provisioner give the claim up, so that its next pod is scheduled anew.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NoPod(_) | Self::NotForPod { .. } => Code::ResourceExhausted,
            Self::Api(error) => error.code(),
        }
    }
}

/// The companions of the claim that `request` is for; none if its class does not wish them together.
///
/// # Errors
/// If no pod waits for the claim, or the API server does not answer: the volume could come to be apart from the others.
pub async fn companions(service: &Service, request: &CreateRequest) -> Result<CompanionClaims, CompanionError> {
    let wishes = request.volume_request().numa == NumaWish::Together;
    let Some(claim) = request.claim.as_ref().filter(|_| wishes) else {
        return Ok(CompanionClaims::default());
    };
    let key = ObjectKey::new(&claim.namespace, &claim.name);
    let mut search = Search {
        service,
        id: &request.id,
        pods: Vec::new(),
        claims: BTreeMap::new(),
    };
    let Some(claim) = search.claim(&key).await? else {
        return Ok(CompanionClaims::default());
    };
    search.pods = search.waiting_pods(&key.namespace).await?;
    let pods = search.pods_of(&key, &claim);
    if pods.is_empty() && claim.selected_node.is_some() {
        return Err(search.no_pod(key));
    }
    Ok(search.companions(&key, &pods).await?)
}

/// Follows claims to their pods, and pods to their claims.
struct Search<'a> {
    service: &'a Service,
    id: &'a VolumeId,
    /// The pods that wait in the namespace of the claim.
    pods: Vec<Pod>,
    /// The claims that were read; none for those that do not exist or are not ours.
    claims: BTreeMap<ObjectKey, Option<ClaimWithClass>>,
}

struct ClaimWithClass {
    claim: Claim,
    class: OurClass,
}

impl Search<'_> {
    async fn claim(&self, key: &ObjectKey) -> Result<Option<Claim>, ApiError> {
        let claim = self.service.claims.claim(key).await;
        claim.map_err(|error| ApiError::new("look up the claims of the pods of volume", self.id, error))
    }

    async fn waiting_pods(&self, namespace: &str) -> Result<Vec<Pod>, ApiError> {
        let pods = self.service.claims.waiting_pods(namespace).await;
        pods.map_err(|error| ApiError::new("list the pods that wait for volume", self.id, error))
    }

    /// The pods that use a claim, by their position in `pods`.
    fn pods_of(&self, key: &ObjectKey, claim: &Claim) -> Vec<usize> {
        let uses = |pod: &Pod| {
            let mut claims = pod.claims().iter();
            claims.any(|of| of.key == *key && claim.is_meant_by(&pod.uid, of))
        };
        (0..self.pods.len()).filter(|pod| uses(&self.pods[*pod])).collect()
    }

    /// Why no pod uses the claim, though a node was selected for it.
    fn no_pod(&self, claim: ObjectKey) -> CompanionError {
        let mut pods = self.pods.iter();
        match pods.find(|pod| pod.claims().iter().any(|of| of.key == claim)) {
            Some(pod) => CompanionError::NotForPod {
                pod: pod.key(),
                reason: Impossible::NotForPod(claim),
            },
            None => CompanionError::NoPod(claim),
        }
    }

    async fn companions(&mut self, own: &ObjectKey, pods: &[usize]) -> Result<CompanionClaims, ApiError> {
        let mut companions = CompanionClaims::default();
        for key in self.linked(pods).await? {
            if let Some(found) = self.found(&key).filter(|_| key != *own) {
                let volume = self.volume_of(&found.claim);
                self.read_volume(&volume, &mut companions).await?;
                if found.claim.persistent_volume.is_some() {
                    companions.bound.insert(volume.clone());
                }
                companions.volumes.insert(volume);
            }
        }
        companions.pods = pods.iter().map(|pod| self.unbound_claims(*pod, own)).collect();
        Ok(companions)
    }

    /// The claims that wish to be together, of `pods` and of all pods that share one of these.
    async fn linked(&mut self, pods: &[usize]) -> Result<BTreeSet<ObjectKey>, ApiError> {
        let mut linked = BTreeSet::new();
        let (mut visited, mut to_visit): (BTreeSet<usize>, Vec<usize>) = (BTreeSet::new(), pods.to_vec());
        while let Some(pod) = to_visit.pop() {
            if !visited.insert(pod) {
                continue;
            }
            for of in self.pods[pod].claims().to_vec() {
                self.find(&of.key).await?;
                if let Some(found) = self.found_for(pod, &of).filter(|found| wishes_together(&found.class)) {
                    to_visit.extend(self.pods_of(&of.key, &found.claim));
                    linked.insert(of.key);
                }
            }
        }
        Ok(linked)
    }

    /// Reads a claim and its class, once.
    async fn find(&mut self, key: &ObjectKey) -> Result<(), ApiError> {
        if !self.claims.contains_key(key) {
            let found = self.claim_with_class(key).await?;
            self.claims.insert(key.clone(), found);
        }
        Ok(())
    }

    async fn claim_with_class(&self, key: &ObjectKey) -> Result<Option<ClaimWithClass>, ApiError> {
        let Some(claim) = self.claim(key).await? else {
            return Ok(None);
        };
        let class = match &claim.class {
            Some(name) => self.class(name).await?,
            None => None,
        };
        let class = class.as_ref().and_then(Class::ours).cloned();
        Ok(class.map(|class| ClaimWithClass { claim, class }))
    }

    /// A class that is new may not be in the index yet.
    async fn class(&self, name: &str) -> Result<Option<Class>, ApiError> {
        if let Some(class) = self.service.index.read(|index| index.class(name).cloned()) {
            return Ok(Some(class));
        }
        let class = self.service.claims.class(name).await;
        class.map_err(|error| ApiError::new("look up the classes of the pods of volume", self.id, error))
    }

    fn found(&self, key: &ObjectKey) -> Option<&ClaimWithClass> {
        self.claims.get(key)?.as_ref()
    }

    fn found_for(&self, pod: usize, of: &PodClaim) -> Option<&ClaimWithClass> {
        self.found(&of.key)
            .filter(|found| found.claim.is_meant_by(&self.pods[pod].uid, of))
    }

    /// Reads a volume that the watch has not shown, or as one that goes: it may be there all the same.
    async fn read_volume(&self, name: &str, companions: &mut CompanionClaims) -> Result<(), ApiError> {
        let is_shown = |index: &Index| index.newest_volume(name).is_some_and(stays);
        let Some(id) = VolumeId::parse(name).filter(|_| !self.service.index.read(is_shown)) else {
            return Ok(());
        };
        if let Some(volume) = self.service.volumes.get(&id).await? {
            companions.read.insert(name.into(), volume);
        }
        Ok(())
    }

    /// What the unbound claims of a pod ask for, apart from `own`. Those that can have no volume are left out: the event on
    /// their pod says what is wrong.
    fn unbound_claims(&self, pod: usize, own: &ObjectKey) -> BTreeMap<String, VolumeRequest> {
        let others = self.pods[pod].claims().iter().filter(|of| of.key != *own);
        others
            .filter_map(|of| self.found_for(pod, of))
            .filter(|found| found.claim.persistent_volume.is_none() && found.class.waits_for_pod)
            .filter_map(|found| Some((self.volume_of(&found.claim), found.claim.request(&found.class).ok()?)))
            .collect()
    }

    /// The id of the volume that a claim has or is about to get: it may be one that was not made for it.
    fn volume_of(&self, claim: &Claim) -> String {
        self.service.index.read(|index| {
            let bound = match &claim.persistent_volume {
                Some(name) => index.persistent_volume(name),
                None => index.persistent_volume_for(&claim.uid),
            };
            bound.map_or_else(|| claim.volume_name(), |bound| bound.volume.handle.to_string())
        })
    }
}

fn wishes_together(class: &OurClass) -> bool {
    let settings = class.settings.as_ref();
    settings.is_ok_and(|settings| settings.parameters.numa == NumaWish::Together)
}
