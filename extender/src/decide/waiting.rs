//! Whether there is room by now for one of the pods that wait.

use std::collections::BTreeSet;
use std::sync::Arc;

use cluster::{Pod, ReadObjects};

use super::{PreparedRequirements, filter};
use crate::state::State;

/// So many pods are looked at with one call: filter calls wait meanwhile.
const AT_ONCE: usize = 100;

/// Who was found among the pods that wait.
#[derive(Debug, PartialEq, Eq)]
pub enum Room {
    /// There is room for this pod on this node.
    For(Arc<Pod>, Arc<str>),
    /// There is room for none up to this one: go on after it.
    NotUpTo(Box<str>),
    /// There is room for none.
    ForNobody,
}

/// Looks for a pod, after the one with the unique id `after`, that one of the nodes in `gained` has room for.
#[must_use]
pub fn room_for_waiting(state: &State, after: Option<&str>, gained: &BTreeSet<Arc<str>>) -> Room {
    let mut looked_at = 0;
    for (pod, nodes) in state.waiting().interested(after, gained) {
        if let Some(node) = first_with_room(state, pod, &nodes) {
            return Room::For(pod.clone(), node.into());
        }
        looked_at += 1;
        if looked_at == AT_ONCE {
            return Room::NotUpTo(pod.uid.clone());
        }
    }
    Room::ForNobody
}

/// None as well if the watches do not show all of the pod's claims: what they show next wakes the pod by itself.
fn first_with_room<'a>(state: &State, pod: &Pod, nodes: &[&'a str]) -> Option<&'a str> {
    let mut requirements = PreparedRequirements::of(pod, state, &ReadObjects::default()).ok()?;
    let waits_for_space = !nodes.is_empty() && !requirements.uids().is_empty();
    let names = nodes.iter().copied();
    waits_for_space.then(|| filter(state, &mut requirements, names).passed.first().copied())?
}
