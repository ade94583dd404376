//! Which claims wait for a node that is away, and since when it is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use cluster::{Claim, Class};
use crds::PmemVolume;
use kube::ResourceExt;

use crate::controller::{VolumeId, is_said_to_be_unused};
use crate::index::{Index, OnDevice};

/// A driver that is exchanged or killed is back within this time, and makes what was asked for.
const GRACE: Duration = Duration::from_secs(120);

/// The nodes that are away, and since when.
#[derive(Clone, Debug, Default)]
pub struct Absences {
    since: BTreeMap<String, Instant>,
    now: Option<Instant>,
}

impl Absences {
    /// These nodes are away at `now`.
    pub fn look(&mut self, nodes: &BTreeSet<String>, now: Instant) {
        self.now = Some(now);
        self.since.retain(|node, _| nodes.contains(node));
        for node in nodes {
            self.since.entry(node.clone()).or_insert(now);
        }
    }

    /// The nodes that have been away for long enough.
    pub fn overdue(&self) -> impl Iterator<Item = &str> {
        let nodes = self.since.keys().map(String::as_str);
        nodes.filter(|node| self.is_overdue(node))
    }

    fn is_overdue(&self, node: &str) -> bool {
        let since = self.since.get(node).zip(self.now);
        since.is_some_and(|(since, now)| now.saturating_duration_since(*since) >= GRACE)
    }
}

/// Whether a claim waits for a node that has been away for too long, and nobody can have used what was made for it.
#[must_use]
pub fn is_stranded(claim: &Claim, absences: &Absences, index: &Index) -> bool {
    let class = claim.class.as_deref().and_then(|class| index.class(class));
    let waits_for_pod = class.and_then(Class::ours).is_some_and(|class| class.waits_for_pod);
    let selected = claim.selected_node.as_deref();
    waits_for_pod
        && claim.persistent_volume.is_none()
        && selected.is_some_and(|node| absences.is_overdue(node))
        && may_go(&claim.volume_name(), absences, index)
}

/// Whether everything that there is of a volume is on nodes that have been away for too long, and said to be unused by those that said
/// anything. If somebody used it all the same, the node keeps it. Where etcd was restored to before a report, it may have been handed
/// out since: that waits for the node, or until its PmemNode is deleted.
fn may_go(volume: &str, absences: &Absences, index: &Index) -> bool {
    let is_used = |on: OnDevice<'_>| match on {
        OnDevice::Earlier => true,
        OnDevice::Kept(_, kept) => !kept.unused,
        OnDevice::Known | OnDevice::Erasing => false,
    };
    let object = index.newest_volume(volume);
    !index.is_of_the_past(volume)
        && object.is_none_or(|object| absences.is_overdue(&object.spec.node))
        && index
            .reports_of(volume)
            .into_iter()
            .all(|(node, on)| absences.is_overdue(node) && !is_used(on))
}

/// The volumes that were deleted as unused on nodes that have been away for too long. Their objects wait for these nodes.
#[must_use]
pub fn held_by_away_nodes(absences: &Absences, index: &Index) -> Vec<VolumeId> {
    let is_held = |volume: &&PmemVolume| {
        volume.metadata.deletion_timestamp.is_some()
            && is_said_to_be_unused(volume)
            && absences.is_overdue(&volume.spec.node)
            && !index.is_of_the_past(&volume.name_any())
    };
    let held = index.volumes().filter(is_held);
    held.filter_map(|volume| VolumeId::parse(&volume.name_any())).collect()
}
