//! The free space of one node, computed once per change and not per question.

use std::collections::HashMap;
use std::sync::Arc;

use crds::{PmemNodeStatus, PmemVolume, RegionStatus, VolumeSpace, pending_of};
use placement::{Bytes, Extent, Node, NumaNode, Occupancy, PendingVolume, PreparedNode, Region, RegionId, Reservation};

use crate::ledger::Promise;

/// What one node published, its volumes, what is promised on it, and the free space that follows.
#[derive(Debug, Default)]
pub struct NodeSpace {
    status: Option<PmemNodeStatus>,
    volumes: HashMap<Box<str>, Volume>,
    promised: Vec<Arc<Promise>>,
    /// None as long as the node did not publish anything.
    view: Option<PreparedNode>,
    empty: Option<PreparedNode>,
}

#[derive(Debug)]
struct Volume {
    space: VolumeSpace,
    deleting: bool,
}

impl NodeSpace {
    /// The free space at this moment: what the node published, minus the volumes that are not in there yet and what is
    /// promised; none if the node did not publish anything.
    #[must_use]
    pub fn view(&self) -> Option<&PreparedNode> {
        self.view.as_ref()
    }

    /// The same if nothing were promised to the claims with these unique ids.
    #[must_use]
    pub fn view_without(&self, claims: &[&str]) -> Option<PreparedNode> {
        let others = self.promised.iter().filter(|promise| !claims.contains(&&*promise.uid));
        self.view_of(&others.cloned().collect::<Vec<_>>())
    }

    /// The free space if nothing at all were on the node: what does not fit here never fits.
    #[must_use]
    pub fn empty(&self) -> Option<&PreparedNode> {
        self.empty.as_ref()
    }

    /// Whether the node published anything.
    #[must_use]
    pub fn is_published(&self) -> bool {
        self.view.is_some()
    }

    /// Whether a volume of that name is on its way to be used: not refused, and not about to go.
    #[must_use]
    pub fn makes(&self, volume: &str) -> bool {
        let volume = self.volumes.get(volume);
        volume.is_some_and(|volume| !volume.deleting && !volume.space.is_refused())
    }

    /// The NUMA node of the volume of that name, as far as it is known.
    #[must_use]
    pub fn numa_of(&self, volume: &str) -> Option<NumaNode> {
        let volume = self.volumes.get(volume).filter(|_| self.makes(volume))?;
        volume.space.numa(self.status.as_ref()?)
    }

    /// The volumes that take space which the node did not publish yet, by name.
    pub fn pending(&self) -> impl Iterator<Item = (&str, &PendingVolume)> {
        let is_pending = |volume: &Volume| {
            self.status
                .as_ref()
                .is_some_and(|status| volume.space.is_pending(status))
        };
        let pending = self.volumes.iter().filter(move |(_, volume)| is_pending(volume));
        pending.map(|(name, volume)| (&**name, volume.space.pending()))
    }

    /// Whether nothing is known about the node.
    pub(super) fn is_forgotten(&self) -> bool {
        self.status.is_none() && self.volumes.is_empty()
    }

    pub(super) fn publish(&mut self, status: Option<&PmemNodeStatus>) {
        self.status = status.map(without_texts);
        self.empty = status.map(|status| emptied(status).into());
        self.refresh();
    }

    pub(super) fn add(&mut self, name: &str, volume: &PmemVolume) {
        let volume = Volume {
            space: volume.into(),
            deleting: volume.metadata.deletion_timestamp.is_some(),
        };
        self.volumes.insert(name.into(), volume);
        self.refresh();
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.volumes.remove(name);
        self.refresh();
    }

    pub(super) fn promise(&mut self, promised: Vec<Arc<Promise>>) {
        self.promised = promised;
        self.refresh();
    }

    fn refresh(&mut self) {
        self.view = self.view_of(&self.promised);
    }

    fn view_of(&self, promised: &[Arc<Promise>]) -> Option<PreparedNode> {
        let status = self.status.as_ref()?;
        let pending = pending_of(status, self.volumes.values().map(|volume| &volume.space));
        let reservation = |promise: &Arc<Promise>| Reservation {
            claim: promise.claim.to_string(),
            request: promise.request,
        };
        let reservations: Vec<Reservation> = promised.iter().map(reservation).collect();
        let view = PreparedNode::with_promised(&status.to_placement(), &pending, &reservations);
        Some(view.with_occupancy(&self.occupancy(status)))
    }

    /// What is in each region. A volume counts once its node chose the region.
    fn occupancy(&self, status: &PmemNodeStatus) -> Vec<Occupancy> {
        let ours = |id: &RegionId| {
            let spaces = self.volumes.values().map(|volume| &volume.space);
            let here = spaces.filter(|space| !space.is_refused() && space.pending().region.as_ref() == Some(id));
            here.count()
        };
        let occupancy = |region: &RegionStatus| Occupancy {
            region: region.id.clone(),
            size: region.size,
            volumes: ours(&region.id).saturating_add(usize::try_from(region.foreign.count).unwrap_or(usize::MAX)),
        };
        status.regions.iter().map(occupancy).collect()
    }
}

/// Conditions and messages are for people.
fn without_texts(status: &PmemNodeStatus) -> PmemNodeStatus {
    let region = |region: &RegionStatus| RegionStatus {
        message: String::new(),
        ..region.clone()
    };
    PmemNodeStatus {
        layout_revision: status.layout_revision,
        regions: status.regions.iter().map(region).collect(),
        ..PmemNodeStatus::default()
    }
}

/// The node as if its ready regions were free from end to end.
fn emptied(status: &PmemNodeStatus) -> Node {
    let emptied = |region: &RegionStatus| {
        Some(Region {
            free: vec![Extent::new(Bytes::ZERO, region.size)],
            ..region.to_placement()?
        })
    };
    Node {
        regions: status.regions.iter().filter_map(emptied).collect(),
    }
}
