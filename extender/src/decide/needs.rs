//! What a pod needs of a node.

use std::sync::Arc;

use placement::{NumaNode, NumaWish, PodRequest};

use super::company::Company;
use super::{ClaimOfPod, Known, Missing, claims_of_pod};
use crate::index::{Claim, Class};
use crate::ledger::Reservation;
use crate::pod::Pod;

/// What a pod needs of a node.
#[derive(Debug)]
pub enum Needs {
    /// Nothing of ours: any node will do.
    Nothing,
    /// What no node has: something is wrong with a claim, as the text says.
    Impossible(Arc<str>),
    /// All of this.
    Space {
        /// The nodes that its claims are on already.
        pins: Vec<Pin>,
        /// The space for the claims that have none yet.
        pod_request: PodRequest,
        /// These claims, in the order of what is asked.
        claims: Vec<Arc<Reservation>>,
    },
}

impl Needs {
    /// The claims that have no space yet.
    #[must_use]
    pub fn claims(&self) -> &[Arc<Reservation>] {
        match self {
            Self::Nothing | Self::Impossible(_) => &[],
            Self::Space { claims, .. } => claims,
        }
    }

    /// Their unique ids.
    #[must_use]
    pub fn uids(&self) -> Vec<&str> {
        self.claims().iter().map(|claim| &*claim.uid).collect()
    }
}

/// A claim that is on a node already, or bound to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The only node that will do.
    pub node: Box<str>,
    /// Why, for people.
    pub why: Arc<str>,
}

/// What one claim needs.
enum Need {
    Nothing,
    On(Pin, Option<NumaNode>),
    Space(Reservation, Option<Pin>),
    Impossible(String),
}

/// What `pod` needs of a node.
///
/// # Errors
/// Everything that has to be asked of the API server first.
pub fn needs_of(pod: &Pod, known: Known) -> Result<Needs, Vec<Missing>> {
    let mut missing = Vec::new();
    let mut needs = Vec::new();
    for claim in claims_of_pod(pod) {
        match need_of(&claim, pod, known) {
            Ok(need) => needs.push(need),
            Err(what) => missing.push(what),
        }
    }
    if missing.is_empty() {
        Ok(sum(needs))
    } else {
        Err(missing)
    }
}

fn sum(needs: Vec<Need>) -> Needs {
    let (mut pins, mut claims, mut company) = (Vec::new(), Vec::new(), Company::default());
    for need in needs {
        match need {
            Need::Nothing => {}
            Need::On(pin, numa) => {
                company.add(&pin, numa);
                pins.push(pin);
            }
            Need::Space(claim, pin) => {
                claims.push(claim);
                pins.extend(pin);
            }
            Need::Impossible(why) => return Needs::Impossible(why.into()),
        }
    }
    if pins.is_empty() && claims.is_empty() {
        return Needs::Nothing;
    }
    if let Err(why) = company.settle(&mut claims) {
        return Needs::Impossible(why.into());
    }
    let claims: Vec<Arc<Reservation>> = claims.into_iter().map(Arc::new).collect();
    let pod_request = PodRequest::new(claims.iter().map(|claim| claim.request).collect());
    Needs::Space {
        pins,
        pod_request,
        claims,
    }
}

fn need_of(of: &ClaimOfPod, pod: &Pod, known: Known) -> Result<Need, Missing> {
    let key = &of.key;
    let Some(claim) = known.claim(key)? else {
        return Ok(Need::Impossible(format!("claim {key} does not exist")));
    };
    if of.ephemeral && claim.owner_pod.as_deref() != Some(pod.metadata.uid.as_str()) {
        return Ok(Need::Impossible(format!("claim {key} was not made for this pod")));
    }
    if let Some(volume) = &claim.volume {
        let node = known.index.node_of_persistent_volume(volume);
        let on = |node| Need::On(pin(node, of, "is on"), numa_of_company(claim, known));
        return Ok(node.map_or(Need::Nothing, on));
    }
    need_of_unbound(of, claim, known)
}

fn need_of_unbound(of: &ClaimOfPod, claim: &Claim, known: Known) -> Result<Need, Missing> {
    let class = match &claim.class {
        Some(name) => known.class(name)?,
        None => None,
    };
    let parameters = match class {
        Some(Class::Ours(parameters)) => parameters,
        // A claim without a class, or with one that does not exist, is for the scheduler to complain about.
        Some(Class::Foreign) | None => return Ok(Need::Nothing),
    };
    if let Some(node) = known.index.node_making(&claim.name_of_volume()) {
        let pin = pin(node, of, "is being made on");
        return Ok(Need::On(pin, numa_of_company(claim, known)));
    }
    Ok(match (parameters, &claim.size) {
        (Err(why), _) | (_, Err(why)) => Need::Impossible(format!("claim {}: {why}", of.key)),
        (Ok(parameters), Ok((required, limit))) => {
            let selected = claim.selected_node.as_deref();
            let pin = selected.map(|node| pin(node, of, "was given to"));
            let reservation = Reservation {
                uid: (&*claim.uid).into(),
                claim: of.key.clone(),
                request: parameters.request(*required, *limit),
            };
            Need::Space(reservation, pin)
        }
    })
}

/// The NUMA node of the volume of a claim, if its class wishes the others of its pod there too.
fn numa_of_company(claim: &Claim, known: Known) -> Option<NumaNode> {
    let class = known.index.class(claim.class.as_deref()?)?;
    let Class::Ours(Ok(parameters)) = class else {
        return None;
    };
    let wishes = parameters.numa == NumaWish::Together;
    wishes.then(|| known.index.numa_of_volume_of(claim)).flatten()
}

fn pin(node: &str, of: &ClaimOfPod, how: &str) -> Pin {
    Pin {
        node: node.into(),
        why: format!("claim {} {how} node {node}", of.key).into(),
    }
}
