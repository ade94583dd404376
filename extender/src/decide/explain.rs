//! Why each node holds a pod, or does not, with every number that a person would ask for. Reserves nothing.

use cluster::UnprovisionedClaim;
use placement::{Bytes, MapLocation, Mode, NumaNode, NumaWish, Policy, PreparedNode, Space, VolumeRequest};
use serde::Serialize;

use super::{
    NodeRefusal, NodeRequirements, NodesForPod, OtherClaims, PreparedRequirements, Verdict, prioritize, verdict,
};
use crate::index::ReportedNode;
use crate::ledger::{Reservation, ReservationState};
use crate::state::State;

/// Why each node holds a pod, or does not. All sizes are bytes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodExplanation {
    /// What decides the question for all nodes alike; none if it depends on the node.
    pub verdict: Option<String>,
    /// What the claims ask for that have no space yet.
    pub asked: Vec<RequestedVolume>,
    /// All nodes with persistent memory, the best first, then those that do not hold the pod, by name.
    pub nodes: Vec<NodeExplanation>,
}

/// What one claim without a volume asks for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestedVolume {
    /// Namespace and name.
    pub claim: String,
    /// Usable bytes at least.
    pub required: Bytes,
    /// Usable bytes at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Bytes>,
    /// "fsdax" or "sector".
    pub mode: &'static str,
    /// Where a fsdax volume has its page map.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<MapLocation>,
    /// The NUMA node that it has to be on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numa: Option<NumaNode>,
}

/// Why a node holds the pod, or does not.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeExplanation {
    /// The name of the node.
    pub node: String,
    /// Whether it holds the pod.
    pub holds: bool,
    /// Why not, in the words of the scheduler's event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The numbers behind the reason, if it is the space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<placement::Explanation>,
    /// Whether it would not even if everything on it were deleted.
    pub never: bool,
    /// From 0 to 10, among the nodes that hold the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<u8>,
    /// Usable bytes of the largest volume that can be made there now, in the mode of the first claim.
    pub largest: Bytes,
    /// Raw free bytes, after all that is pending and reserved.
    pub free: Bytes,
    /// In how many extents they are.
    pub extents: usize,
    /// The same for each region.
    pub regions: Vec<RegionExplanation>,
    /// What is reserved for claims that have no volume yet.
    pub reserved: Vec<ReservedClaim>,
    /// The volumes that are not in the reported extents yet.
    pub pending: Vec<PendingVolume>,
}

/// The free space of one region.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RegionExplanation {
    /// The stable id that its PmemNode reports.
    pub region: String,
    /// The NUMA node it belongs to, if the platform says.
    pub numa: Option<NumaNode>,
    /// Usable bytes of the largest volume that can be made there now, in the mode of the first claim.
    pub largest: Bytes,
    /// Raw free bytes.
    pub free: Bytes,
    /// In how many extents they are.
    pub extents: usize,
}

/// What is reserved for one claim.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReservedClaim {
    /// Namespace and name.
    pub claim: String,
    /// Usable bytes.
    pub required: Bytes,
    /// "tentative", "nominated" if the pod names the node, or "assigned" if the claim shows it as its selected node.
    pub state: &'static str,
    /// Whether the claim is one of this pod, so that it is not in its way.
    pub own: bool,
}

/// A volume that the reported extents do not contain yet.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingVolume {
    /// The name of the PmemVolume.
    pub volume: String,
    /// Usable bytes.
    pub required: Bytes,
}

/// Explains what a filter call would answer for a pod with these `requirements` and all nodes.
pub fn explain(state: &State, policy: Policy, requirements: &mut PreparedRequirements) -> PodExplanation {
    let mut names: Vec<&str> = state.nodes().collect();
    names.sort_unstable();
    let claims = requirements.elsewhere().claims();
    let asked: Vec<RequestedVolume> = claims.iter().map(RequestedVolume::from).collect();
    let mode = claims
        .first()
        .map_or(Mode::Fsdax(MapLocation::Dev), |claim| claim.request.mode);
    let for_pod = NodesForPod::new(state, requirements);
    let own: Vec<String> = requirements.uids().into_iter().map(Into::into).collect();
    let mut nodes = Vec::with_capacity(names.len());
    for name in names {
        let candidate = for_pod.candidate(name);
        if let (Some((free, _)), Some(reported)) = (candidate.space, state.index().node(name)) {
            let mut node = NodeExplanation::new(name, reported, free, mode);
            node.reserved = reserved(state, name, &own);
            let verdict = verdict(candidate, requirements);
            node.why = refusal_with_numbers(free, requirements.on_mut(name), &verdict);
            node.set_verdict(verdict);
            nodes.push(node);
        }
    }
    score(state, policy, requirements, &mut nodes);
    nodes.sort_by_key(|node| (!node.holds, node.score.map(std::cmp::Reverse)));
    PodExplanation {
        verdict: verdict_for_all(requirements),
        asked,
        nodes,
    }
}

fn refusal_with_numbers(
    free: &PreparedNode,
    requirements: &mut NodeRequirements,
    verdict: &Verdict,
) -> Option<placement::Explanation> {
    match verdict {
        Verdict::Failed(NodeRefusal::Space(_)) | Verdict::Unresolvable(NodeRefusal::Space(_)) => {
            free.explain(requirements.pod_request()?)
        }
        _ => None,
    }
}

fn verdict_for_all(requirements: &PreparedRequirements) -> Option<String> {
    if requirements.are_nothing() {
        return Some("the pod has no claims that need persistent memory: any node will do".into());
    }
    match &requirements.elsewhere().others {
        OtherClaims::Impossible(text) if !requirements.differ() => Some(text.to_string()),
        OtherClaims::Impossible(_) | OtherClaims::Nothing | OtherClaims::Space { .. } => None,
    }
}

fn score(state: &State, policy: Policy, requirements: &mut PreparedRequirements, nodes: &mut [NodeExplanation]) {
    let holding: Vec<String> = nodes
        .iter()
        .filter(|node| node.holds)
        .map(|node| node.node.clone())
        .collect();
    let holding: Vec<&str> = holding.iter().map(String::as_str).collect();
    let scores = prioritize(state, policy, requirements, &holding);
    for (name, score) in scores {
        if let Some(node) = nodes.iter_mut().find(|node| node.node == name) {
            node.score = Some(score);
        }
    }
}

fn reserved(state: &State, node: &str, own: &[String]) -> Vec<ReservedClaim> {
    let reservations = state.ledger().reservations_on(node);
    reservations
        .map(|(reservation, state)| ReservedClaim::new(reservation, state, own))
        .collect()
}

impl NodeExplanation {
    fn new(name: &str, reported: &ReportedNode, free: &PreparedNode, mode: Mode) -> Self {
        let regions = free.node().regions.iter();
        let regions: Vec<_> = regions
            .map(|region| (region.id.0.clone(), region.space(mode)))
            .collect();
        let spaces = || regions.iter().map(|(_, space)| space);
        let pending = reported.pending().map(|(name, pending)| PendingVolume {
            volume: name.into(),
            required: pending.request.required,
        });
        Self {
            node: name.into(),
            holds: true,
            reason: None,
            why: None,
            never: false,
            score: None,
            largest: spaces().map(|space| space.largest).max().unwrap_or_default(),
            free: spaces().map(|space| space.free).sum(),
            extents: spaces().map(|space| space.extents).sum(),
            regions: regions
                .iter()
                .map(|(id, space)| RegionExplanation::new(id, space))
                .collect(),
            reserved: Vec::new(),
            pending: pending.collect(),
        }
    }

    fn set_verdict(&mut self, verdict: Verdict) {
        let (refusal, never) = match verdict {
            Verdict::Passed => return,
            Verdict::Failed(refusal) => (refusal, false),
            Verdict::Unresolvable(refusal) => (refusal, true),
        };
        self.holds = false;
        self.never = never;
        self.reason = Some(refusal.to_string());
    }
}

impl From<&UnprovisionedClaim> for RequestedVolume {
    fn from(claim: &UnprovisionedClaim) -> Self {
        let VolumeRequest {
            required,
            limit,
            mode,
            numa,
        } = claim.request;
        let (mode, map) = match mode {
            Mode::Fsdax(map) => ("fsdax", Some(map)),
            Mode::Sector => ("sector", None),
        };
        Self {
            claim: claim.key.to_string(),
            required,
            limit,
            mode,
            map,
            numa: match numa {
                NumaWish::Any | NumaWish::Together => None,
                NumaWish::Node(node) => Some(node),
            },
        }
    }
}

impl RegionExplanation {
    fn new(id: &str, space: &Space) -> Self {
        Self {
            region: id.into(),
            numa: space.numa,
            largest: space.largest,
            free: space.free,
            extents: space.extents,
        }
    }
}

impl ReservedClaim {
    fn new(reservation: &Reservation, state: ReservationState, own: &[String]) -> Self {
        Self {
            claim: reservation.claim.to_string(),
            required: reservation.space().map(|request| request.required).unwrap_or_default(),
            state: match state {
                ReservationState::Tentative => "tentative",
                ReservationState::Nominated => "nominated",
                ReservationState::Assigned => "assigned",
            },
            own: own.iter().any(|uid| **uid == *reservation.uid),
        }
    }
}
