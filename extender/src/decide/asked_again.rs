//! A pod that is asked for again although nodes were decided on for it.

use cluster::{Claim, NotIndexed, Pod, ReadObjects};

use super::PreparedRequirements;
use crate::state::State;

/// The volumes to read from the API server before the pod is decided on anew.
///
/// What was decided may have been carried out, as far as kube-scheduler came with it, and the watches may not have shown that yet.
/// The space of a claim that seems to have no volume would be given away if the pod is refused this time.
#[must_use]
pub fn volumes_to_look_for(
    state: &State,
    pod: &Pod,
    requirements: &PreparedRequirements,
    read: &ReadObjects,
) -> Vec<NotIndexed> {
    let uids = requirements.uids();
    if !state.ledger().has_decided(&pod.uid, uids.iter().copied()) {
        return Vec::new();
    }
    let volumes = uids.into_iter().map(Claim::volume_name_of);
    let unread = volumes.filter(|name| !read.knows_volume(name));
    unread.map(|name| NotIndexed::Volume(name.into())).collect()
}
