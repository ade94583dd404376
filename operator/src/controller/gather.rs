//! Finds the company of a claim: the pods that wait for it, and their other claims.

use std::collections::{BTreeMap, BTreeSet};

use crds::DRIVER_NAME;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use placement::NumaWish;

use super::Service;
use super::api::ApiError;
use super::company::{Company, Member};
use super::create::CreateError;
use super::request::Asked;
use super::volume_id::VolumeId;
use crate::claims::{ClaimOfPod, is_bound, name_of_volume, request, selected_node};
use crate::index::{Class, SharedIndex};

/// Pods that have no node and have not ended: what waits for a volume is among them.
const WAITING: &str = "spec.nodeName=,status.phase=Pending";

/// Reads pods, claims and classes.
#[derive(Clone)]
pub struct ClaimsApi {
    client: Client,
}

/// A claim and what its class makes of it.
struct Known {
    claim: PersistentVolumeClaim,
    class: Class,
}

impl ClaimsApi {
    /// Through this client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The pods of `namespace` that wait for a node.
    async fn waiting_pods(&self, id: &VolumeId, namespace: &str) -> Result<Vec<Pod>, ApiError> {
        let pods = Api::<Pod>::namespaced(self.client.clone(), namespace);
        let found = pods.list(&ListParams::default().fields(WAITING)).await;
        let found = found.map_err(|error| ApiError::of("list the pods that wait for volume", id, error))?;
        Ok(found.items.into_iter().filter(waits).collect())
    }

    async fn claim(
        &self,
        id: &VolumeId,
        namespace: &str,
        name: &str,
    ) -> Result<Option<PersistentVolumeClaim>, ApiError> {
        let claims = Api::<PersistentVolumeClaim>::namespaced(self.client.clone(), namespace);
        let found = claims.get_opt(name).await;
        found.map_err(|error| ApiError::of("look up the claims of the pods of volume", id, error))
    }

    /// The class `name`, if it is ours. One that is new may not be in the index yet.
    async fn class(&self, id: &VolumeId, index: &SharedIndex, name: &str) -> Result<Option<Class>, ApiError> {
        if let Some(class) = index.read(|index| index.class(name).cloned()) {
            return Ok(Some(class));
        }
        let found = Api::<StorageClass>::all(self.client.clone()).get_opt(name).await;
        let found = found.map_err(|error| ApiError::of("look up the classes of the pods of volume", id, error))?;
        Ok(found
            .filter(|class| class.provisioner == DRIVER_NAME)
            .map(|class| Class::of(&class)))
    }
}

/// Whether a pod may wait for volumes.
fn waits(pod: &Pod) -> bool {
    let has_node = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    !has_node && pod.metadata.deletion_timestamp.is_none()
}

/// Follows claims to their pods, and pods to their claims.
struct Search<'a> {
    service: &'a Service,
    id: &'a VolumeId,
    namespace: &'a str,
    /// Waiting pods with their unique ids.
    pods: Vec<(String, Vec<ClaimOfPod>)>,
    /// Claims of ours that were read, by name; none for those that are not ours or not there.
    claims: BTreeMap<String, Option<Known>>,
}

impl Service {
    /// The company of the claim that a volume is asked for; an empty one if its class does not wish one.
    pub(super) async fn company(&self, asked: &Asked) -> Result<Company, CreateError> {
        let Some(claim) = asked
            .claim
            .as_ref()
            .filter(|_| asked.request().numa == NumaWish::Together)
        else {
            return Ok(Company::default());
        };
        let (id, namespace) = (&asked.id, claim.namespace.as_str());
        let Some(own) = self.claims.claim(id, namespace, &claim.name).await? else {
            return Ok(Company::default());
        };
        let waiting = self.claims.waiting_pods(id, namespace).await?;
        let pods = waiting
            .iter()
            .map(|pod| (pod.uid().unwrap_or_default(), ClaimOfPod::all_of(pod)));
        let mut search = Search {
            service: self,
            id,
            namespace,
            pods: pods.collect(),
            claims: BTreeMap::new(),
        };
        let pods = search.pods_of(&own);
        if pods.is_empty() && selected_node(&own).is_some() {
            return Err(CreateError::NoPod(format!("{namespace}/{}", claim.name)));
        }
        Ok(search.company(&own, &pods).await?)
    }
}

impl Search<'_> {
    /// The pods that use a claim, by their position.
    fn pods_of(&self, claim: &PersistentVolumeClaim) -> Vec<usize> {
        let name = claim.name_any();
        let uses =
            |(uid, claims): &(String, Vec<ClaimOfPod>)| claims.iter().any(|of| of.name == name && of.is(claim, uid));
        (0..self.pods.len()).filter(|pod| uses(&self.pods[*pod])).collect()
    }

    async fn company(&mut self, own: &PersistentVolumeClaim, pods: &[usize]) -> Result<Company, ApiError> {
        let together = self.linked(pods).await?;
        let mut company = Company::default();
        for name in together {
            let Some(volume) = self.known(&name).and_then(|known| name_of_volume(&known.claim)) else {
                continue;
            };
            if name != own.name_any() {
                self.read_volume(&volume, &mut company).await?;
                company.together.insert(volume);
            }
        }
        company.pods = pods.iter().map(|pod| self.members(*pod, &own.name_any())).collect();
        Ok(company)
    }

    /// The claims that wish to be together, of `pods` and of all pods that share one of these.
    async fn linked(&mut self, pods: &[usize]) -> Result<BTreeSet<String>, ApiError> {
        let mut together = BTreeSet::new();
        let (mut seen, mut to_see): (BTreeSet<usize>, Vec<usize>) = (BTreeSet::new(), pods.to_vec());
        while let Some(pod) = to_see.pop() {
            if !seen.insert(pod) {
                continue;
            }
            for of in self.pods[pod].1.clone() {
                self.read(&of.name).await?;
                let wishes = self.known_of(pod, &of).filter(|known| wishes_company(known));
                if let Some(known) = wishes {
                    to_see.extend(self.pods_of(&known.claim));
                    together.insert(of.name);
                }
            }
        }
        Ok(together)
    }

    async fn read(&mut self, name: &str) -> Result<(), ApiError> {
        if !self.claims.contains_key(name) {
            let known = self.look_up(name).await?;
            self.claims.insert(name.into(), known);
        }
        Ok(())
    }

    async fn look_up(&self, name: &str) -> Result<Option<Known>, ApiError> {
        let api = &self.service.claims;
        let Some(claim) = api.claim(self.id, self.namespace, name).await? else {
            return Ok(None);
        };
        let class = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.clone());
        let Some(class) = class.filter(|class| !class.is_empty()) else {
            return Ok(None);
        };
        let class = api.class(self.id, &self.service.index, &class).await?;
        Ok(class.map(|class| Known { claim, class }))
    }

    fn known(&self, name: &str) -> Option<&Known> {
        self.claims.get(name)?.as_ref()
    }

    fn known_of(&self, pod: usize, of: &ClaimOfPod) -> Option<&Known> {
        self.known(&of.name)
            .filter(|known| of.is(&known.claim, &self.pods[pod].0))
    }

    /// What the watch does not show yet may have been written all the same.
    async fn read_volume(&self, name: &str, company: &mut Company) -> Result<(), ApiError> {
        let id =
            VolumeId::existing(name).filter(|_| self.service.index.read(|index| index.newest_volume(name).is_none()));
        let Some(id) = id else { return Ok(()) };
        if let Some(volume) = self.service.api.get(&id).await? {
            company.read.insert(name.into(), volume);
        }
        Ok(())
    }

    /// The unbound claims of a pod apart from `own` that wait for it. What is wrong with one of them is said elsewhere.
    fn members(&self, pod: usize, own: &str) -> Vec<Member> {
        let others = self.pods[pod].1.iter().filter(|of| of.name != own);
        let known = others.filter_map(|of| self.known_of(pod, of));
        known
            .filter(|known| !is_bound(&known.claim) && known.class.waits_for_pod)
            .filter_map(member)
            .collect()
    }
}

fn wishes_company(known: &Known) -> bool {
    let asks = known.class.asks.as_ref();
    asks.is_ok_and(|asks| asks.parameters.numa == NumaWish::Together)
}

fn member(known: &Known) -> Option<Member> {
    Some(Member {
        volume: name_of_volume(&known.claim)?,
        request: request(known.claim.spec.as_ref()?, &known.class).ok()?,
    })
}
