//! Finds the companions of a claim: the pods that wait for it, and their other claims.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;
use placement::NumaWish;

use super::companions::{Companions, UnboundClaim};
use crate::claims::{ClaimOfPod, is_bound, name_of_volume, request, selected_node};
use crate::controller::api::ApiError;
use crate::controller::request::CreateRequest;
use crate::controller::service::Service;
use crate::controller::volume_id::VolumeId;
use crate::index::Class;

/// Why the companions of a claim are not known.
#[derive(Debug, thiserror::Error)]
pub enum CompanionError {
    /// A node was selected for the claim `namespace/name`, but no pod waits for it.
    #[error("no pod waits for claim {0}")]
    NoPod(String),
    /// A pod, a claim, a class or a volume could not be read.
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// The companions of the claim that `request` is for; none if its class does not wish them together.
///
/// # Errors
/// If nobody can tell which they are.
pub async fn companions(service: &Service, request: &CreateRequest) -> Result<Companions, CompanionError> {
    let wishes = request.volume_request().numa == NumaWish::Together;
    let Some(claim) = request.claim.as_ref().filter(|_| wishes) else {
        return Ok(Companions::default());
    };
    let (id, namespace) = (&request.id, claim.namespace.as_str());
    let Some(own) = service.claims.claim(id, namespace, &claim.name).await? else {
        return Ok(Companions::default());
    };
    let waiting = service.claims.waiting_pods(id, namespace).await?;
    let mut search = Search {
        service,
        id,
        namespace,
        pods: waiting
            .iter()
            .map(|pod| (pod.uid().unwrap_or_default(), ClaimOfPod::all_of(pod)))
            .collect(),
        claims: BTreeMap::new(),
    };
    let pods = search.pods_of(&own);
    if pods.is_empty() && selected_node(&own).is_some() {
        return Err(CompanionError::NoPod(format!("{namespace}/{}", claim.name)));
    }
    Ok(search.companions(&own, &pods).await?)
}

/// Follows claims to their pods, and pods to their claims.
struct Search<'a> {
    service: &'a Service,
    id: &'a VolumeId,
    namespace: &'a str,
    /// Waiting pods: uid and claims.
    pods: Vec<(String, Vec<ClaimOfPod>)>,
    /// Claims that were read, by name; none for those that do not exist or are not ours.
    claims: BTreeMap<String, Option<ClaimWithClass>>,
}

struct ClaimWithClass {
    claim: PersistentVolumeClaim,
    class: Class,
}

impl Search<'_> {
    /// The pods that use a claim, by their position in `pods`.
    fn pods_of(&self, claim: &PersistentVolumeClaim) -> Vec<usize> {
        let name = claim.name_any();
        let uses =
            |(uid, claims): &(String, Vec<ClaimOfPod>)| claims.iter().any(|of| of.name == name && of.is(claim, uid));
        (0..self.pods.len()).filter(|pod| uses(&self.pods[*pod])).collect()
    }

    async fn companions(&mut self, own: &PersistentVolumeClaim, pods: &[usize]) -> Result<Companions, ApiError> {
        let mut companions = Companions::default();
        for name in self.linked(pods).await? {
            let volume = self.claim(&name).and_then(|found| name_of_volume(&found.claim));
            let Some(volume) = volume.filter(|_| name != own.name_any()) else {
                continue;
            };
            self.read_volume(&volume, &mut companions).await?;
            companions.volumes.insert(volume);
        }
        companions.pods = pods
            .iter()
            .map(|pod| self.unbound_claims(*pod, &own.name_any()))
            .collect();
        Ok(companions)
    }

    /// The names of the claims that wish to be together, of `pods` and of all pods that share one of these.
    async fn linked(&mut self, pods: &[usize]) -> Result<BTreeSet<String>, ApiError> {
        let mut linked = BTreeSet::new();
        let (mut visited, mut to_visit): (BTreeSet<usize>, Vec<usize>) = (BTreeSet::new(), pods.to_vec());
        while let Some(pod) = to_visit.pop() {
            if !visited.insert(pod) {
                continue;
            }
            for of in self.pods[pod].1.clone() {
                self.read_claim(&of.name).await?;
                if let Some(found) = self.claim_of(pod, &of).filter(|found| wishes_together(found)) {
                    to_visit.extend(self.pods_of(&found.claim));
                    linked.insert(of.name);
                }
            }
        }
        Ok(linked)
    }

    async fn read_claim(&mut self, name: &str) -> Result<(), ApiError> {
        if !self.claims.contains_key(name) {
            let claim = self.claim_with_class(name).await?;
            self.claims.insert(name.into(), claim);
        }
        Ok(())
    }

    async fn claim_with_class(&self, name: &str) -> Result<Option<ClaimWithClass>, ApiError> {
        let Some(claim) = self.service.claims.claim(self.id, self.namespace, name).await? else {
            return Ok(None);
        };
        let class = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.clone());
        let Some(class) = class.filter(|class| !class.is_empty()) else {
            return Ok(None);
        };
        Ok(self.class(&class).await?.map(|class| ClaimWithClass { claim, class }))
    }

    /// A class that is new may not be in the index yet.
    async fn class(&self, name: &str) -> Result<Option<Class>, ApiError> {
        match self.service.index.read(|index| index.class(name).cloned()) {
            Some(class) => Ok(Some(class)),
            None => self.service.claims.class(self.id, name).await,
        }
    }

    fn claim(&self, name: &str) -> Option<&ClaimWithClass> {
        self.claims.get(name)?.as_ref()
    }

    fn claim_of(&self, pod: usize, of: &ClaimOfPod) -> Option<&ClaimWithClass> {
        self.claim(&of.name)
            .filter(|found| of.is(&found.claim, &self.pods[pod].0))
    }

    /// Reads a volume that the watch has not shown: it may have been written all the same.
    async fn read_volume(&self, name: &str, companions: &mut Companions) -> Result<(), ApiError> {
        let shown = self.service.index.read(|index| index.newest_volume(name).is_some());
        let Some(id) = VolumeId::parse(name).filter(|_| !shown) else {
            return Ok(());
        };
        if let Some(volume) = self.service.volumes.get(&id).await? {
            companions.read.insert(name.into(), volume);
        }
        Ok(())
    }

    /// The unbound claims of a pod apart from `own` that wait for it. Those that can have no volume are left out: the event
    /// on their pod says what is wrong.
    fn unbound_claims(&self, pod: usize, own: &str) -> Vec<UnboundClaim> {
        let others = self.pods[pod].1.iter().filter(|of| of.name != own);
        others
            .filter_map(|of| self.claim_of(pod, of))
            .filter(|found| !is_bound(&found.claim) && found.class.waits_for_pod)
            .filter_map(unbound_claim)
            .collect()
    }
}

fn wishes_together(found: &ClaimWithClass) -> bool {
    let asks = found.class.asks.as_ref();
    asks.is_ok_and(|asks| asks.parameters.numa == NumaWish::Together)
}

fn unbound_claim(found: &ClaimWithClass) -> Option<UnboundClaim> {
    Some(UnboundClaim {
        volume: name_of_volume(&found.claim)?,
        request: request(found.claim.spec.as_ref()?, &found.class).ok()?,
    })
}
