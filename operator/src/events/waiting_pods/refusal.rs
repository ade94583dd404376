//! Why no node has the space that a pod requires.

use placement::{Bytes, Node, Refusal, VolumeRequest};

/// Why none of `nodes` holds all of `requests`, as the refusal of the node with the most room; none if one of them does.
/// Nodes are names with free spaces.
#[must_use]
pub fn refusal(requests: &[VolumeRequest], nodes: impl IntoIterator<Item = (String, Node)>) -> Option<String> {
    let mut compared = 0_usize;
    let mut best: Option<((Bytes, Bytes), String, Refusal)> = None;
    for (name, node) in nodes {
        let refusal = node.fits(requests).err()?;
        compared += usize::from(!node.regions.is_empty());
        let room = room(&refusal, &node, requests);
        if !node.regions.is_empty() && best.as_ref().is_none_or(|(most, ..)| room > *most) {
            best = Some((room, name, refusal));
        }
    }
    Some(match best {
        Some((_, name, refusal)) if compared == 1 => format!("{refusal} (node {name}, the only one)"),
        Some((_, name, refusal)) => format!("{refusal} (node {name}, the best of {compared})"),
        None => format!("asked {}; no node has persistent memory ready", sum(requests)),
    })
}

/// How much room a node that refused has: its largest extent, then its free bytes.
fn room(refusal: &Refusal, node: &Node, requests: &[VolumeRequest]) -> (Bytes, Bytes) {
    match refusal {
        Refusal::NoSpace { space, .. } | Refusal::NotTogether { space, .. } => (
            space.iter().map(|space| space.largest).max().unwrap_or_default(),
            space.iter().map(|space| space.free).sum(),
        ),
        Refusal::BeyondAddressing { .. } | Refusal::LimitTooLow { .. } => (largest(node, requests), Bytes::ZERO),
        Refusal::NoRegion { .. } => (Bytes::ZERO, Bytes::ZERO),
    }
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

fn sum(requests: &[VolumeRequest]) -> String {
    let all: Vec<String> = requests.iter().map(|request| request.required.to_string()).collect();
    all.join(" + ")
}
