//! Why no node has the space that a pod requires.

use cluster::SpaceRequirements;
use placement::{Bytes, Node, PodRequest, Refusal, VolumeRequest};

/// Why none of `nodes` holds what a pod requires, as the refusal of the node with the most room; none if one of them does.
/// A pod with volumes on a node can be on that node only. Nodes are names with free spaces.
#[must_use]
pub fn refusal(space: &SpaceRequirements, nodes: impl IntoIterator<Item = (String, Node)>) -> Option<String> {
    let requests = space.requests();
    let mut compared = 0_usize;
    let mut best: Option<(Room, String, Refusal)> = None;
    for (name, node) in nodes
        .into_iter()
        .filter(|(name, _)| space.reason_against(name).is_none())
    {
        let refusal = node.fits(&requests).err()?;
        let has_memory = !(node.regions.is_empty() && node.unready.is_empty());
        compared += usize::from(has_memory);
        let room = room(&refusal, &node, &requests);
        if has_memory && best.as_ref().is_none_or(|(most, ..)| room > *most) {
            best = Some((room, name, refusal));
        }
    }
    Some(match best {
        Some((_, name, refusal)) => format!("{refusal} ({})", which_node(space, &name, compared)),
        None => format!("{}; {}", PodRequest::new(requests).text(), why_no_node(space)),
    })
}

fn which_node(space: &SpaceRequirements, name: &str, compared: usize) -> String {
    match (space.nodes.first(), compared) {
        (Some(claim), _) => claim.reason.to_string(),
        (None, 1) => format!("node {name}, the only one"),
        (None, compared) => format!("node {name}, the best of {compared}"),
    }
}

fn why_no_node(space: &SpaceRequirements) -> String {
    if space.nodes.is_empty() {
        return "no node has persistent memory ready".into();
    }
    let reasons: Vec<&str> = space.nodes.iter().map(|claim| &*claim.reason).collect();
    format!("no other node will do: {}", reasons.join(", "))
}

/// How much room a node that refused has: whether it has a ready region at all, its largest extent, its free bytes.
type Room = (bool, Bytes, Bytes);

fn room(refusal: &Refusal, node: &Node, requests: &[VolumeRequest]) -> Room {
    let (largest, free) = match refusal {
        Refusal::NoSpace { space, .. } | Refusal::NotTogether { space, .. } => (
            space.iter().map(|space| space.largest).max().unwrap_or_default(),
            space.iter().map(|space| space.free).sum(),
        ),
        Refusal::BeyondAddressing { .. } | Refusal::LimitTooLow { .. } => (largest(node, requests), Bytes::ZERO),
        Refusal::NoRegion { .. } => (Bytes::ZERO, Bytes::ZERO),
    };
    (!node.regions.is_empty(), largest, free)
}

fn largest(node: &Node, requests: &[VolumeRequest]) -> Bytes {
    let of_request = |request: &VolumeRequest| {
        node.regions
            .iter()
            .map(|region| region.largest_usable(request.mode))
            .max()
    };
    requests.iter().filter_map(of_request).max().unwrap_or_default()
}
