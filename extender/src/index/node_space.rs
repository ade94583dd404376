//! The free space of one node, computed once per change and not per question.

use std::collections::HashMap;

use crds::{PmemNodeStatus, PmemVolume, RegionStatus, VolumeSpace, free_view_of};
use placement::{Bytes, Extent, Node, Occupancy, Prepared, Region, RegionId};

/// What one node published, its volumes, and the free space that follows.
#[derive(Debug)]
pub struct NodeSpace {
    status: Option<PmemNodeStatus>,
    volumes: HashMap<Box<str>, Volume>,
    now: Prepared,
    empty: Prepared,
}

#[derive(Debug)]
struct Volume {
    space: VolumeSpace,
    deleting: bool,
}

impl Default for NodeSpace {
    fn default() -> Self {
        Self {
            status: None,
            volumes: HashMap::new(),
            now: Node::default().into(),
            empty: Node::default().into(),
        }
    }
}

impl NodeSpace {
    /// The free space at this moment: what the node published, minus the volumes that are not in there yet.
    #[must_use]
    pub fn now(&self) -> &Prepared {
        &self.now
    }

    /// The free space if nothing at all were on the node: what does not fit here never fits.
    #[must_use]
    pub fn empty(&self) -> &Prepared {
        &self.empty
    }

    /// Whether the node published anything.
    #[must_use]
    pub fn is_published(&self) -> bool {
        self.status.is_some()
    }

    /// Whether a volume of that name is on its way to be used: not refused, and not about to go.
    #[must_use]
    pub fn makes(&self, volume: &str) -> bool {
        let volume = self.volumes.get(volume);
        volume.is_some_and(|volume| !volume.deleting && !volume.space.is_refused())
    }

    /// Whether nothing is known about the node.
    pub(super) fn is_forgotten(&self) -> bool {
        self.status.is_none() && self.volumes.is_empty()
    }

    pub(super) fn publish(&mut self, status: Option<&PmemNodeStatus>) {
        self.status = status.map(without_texts);
        self.empty = status.map(emptied).unwrap_or_default().into();
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

    fn refresh(&mut self) {
        let volumes = self.volumes.values().map(|volume| &volume.space);
        let now = self.status.as_ref().map(|status| free_view_of(status, volumes));
        self.now = Prepared::from(now.unwrap_or_default()).with_occupancy(&self.occupancy());
    }

    /// What is in each region. A volume counts once its node chose the region.
    fn occupancy(&self) -> Vec<Occupancy> {
        let ours = |id: &RegionId| {
            let spaces = self.volumes.values().map(|volume| &volume.space);
            let here = spaces.filter(|space| !space.is_refused() && space.region() == Some(id));
            here.count()
        };
        let occupancy = |region: &RegionStatus| Occupancy {
            region: region.id.clone(),
            size: region.size,
            volumes: ours(&region.id).saturating_add(usize::try_from(region.foreign.count).unwrap_or(usize::MAX)),
        };
        let regions = self.status.iter().flat_map(|status| &status.regions);
        regions.map(occupancy).collect()
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
