//! What one node reported, and the free space that follows.

use std::collections::HashMap;

use cluster::{ShownRegions, VolumeSpace};
use crds::{ErasingVolume, PmemNodeStatus, PmemVolume, RegionState, RegionStatus};
use placement::{Bytes, Extent, Node, NumaNode, Occupancy, PendingVolume, PreparedNode, Region, Reservation};

/// What one node reported, and the volumes that it has or is to make.
#[derive(Debug, Default)]
pub struct ReportedNode {
    status: Option<PmemNodeStatus>,
    /// Whether its driver is silent, so that this may not be true any more.
    is_silent: bool,
    volumes: HashMap<Box<str>, VolumeSpace>,
}

impl ReportedNode {
    /// Whether it reported something, and its driver is not silent.
    pub(super) fn reports(&self) -> bool {
        self.status.is_some() && !self.is_silent
    }

    /// The free space at this moment: what the node reported, without its pending volumes and without what is reserved;
    /// none if it did not report anything.
    #[must_use]
    pub fn free_space(&self, reservations: &[Reservation]) -> Option<PreparedNode> {
        let status = self.status.as_ref()?;
        let (free, pending) = ShownRegions::from(status).free_and_pending(self.volumes.values());
        let free = PreparedNode::with_reservations(&free, &pending, reservations);
        Some(free.with_occupancy(&self.occupancy(status)))
    }

    /// The free space if nothing at all were on the node: what does not fit here never fits.
    #[must_use]
    pub fn empty_space(&self) -> Option<PreparedNode> {
        self.status.as_ref().map(|status| emptied(status).into())
    }

    /// Whether the node reported a namespace for the volume of that name, and nothing else shows the volume yet. The watches of nodes and
    /// of volumes need not be equally far.
    #[must_use]
    pub fn has_made_unshown(&self, volume: &str) -> bool {
        let shown = self.status.as_ref().map(ShownRegions::from);
        shown.is_some_and(|shown| shown.has_made(volume)) && !self.volumes.contains_key(volume)
    }

    /// Whether a volume of that name is made or being made: neither refused nor being deleted.
    #[must_use]
    pub fn makes(&self, volume: &str) -> bool {
        self.volumes.get(volume).is_some_and(VolumeSpace::stays)
    }

    /// The NUMA node of the volume of that name, as far as it is known.
    #[must_use]
    pub fn numa_of(&self, volume: &str) -> Option<NumaNode> {
        let volume = self.volumes.get(volume).filter(|volume| volume.stays())?;
        self.numa_for(volume)
    }

    /// The NUMA node that a volume is on or has to be on, as far as the node has told.
    pub(super) fn numa_for(&self, volume: &VolumeSpace) -> Option<NumaNode> {
        volume.numa(self.status.as_ref()?)
    }

    /// The pending volumes by name, in no particular order.
    pub fn pending(&self) -> impl Iterator<Item = (&str, &PendingVolume)> {
        let is_pending = |volume: &VolumeSpace| {
            let status = self.status.as_ref();
            status.is_some_and(|status| volume.is_pending(status))
        };
        let pending = self.volumes.iter().filter(move |(_, volume)| is_pending(volume));
        pending.map(|(name, volume)| (&**name, volume.pending()))
    }

    /// The names of all volumes that it has, erases, or is to make, in no particular order; some more than once.
    pub fn volumes(&self) -> impl Iterator<Item = &str> {
        let regions = self.status.iter().flat_map(|status| &status.regions);
        let shown = regions.flat_map(RegionStatus::volume_names);
        shown.chain(self.volumes.keys().map(AsRef::as_ref))
    }

    /// Whether nothing is known about the node.
    pub(super) fn is_unknown(&self) -> bool {
        self.status.is_none() && self.volumes.is_empty()
    }

    pub(super) fn report(&mut self, status: Option<&PmemNodeStatus>) {
        self.is_silent = status.is_some_and(PmemNodeStatus::is_silent);
        self.status = status.map(without_texts);
    }

    pub(super) fn put_volume(&mut self, name: &str, volume: &PmemVolume) {
        self.volumes.insert(name.into(), volume.into());
    }

    pub(super) fn remove_volume(&mut self, name: &str) {
        self.volumes.remove(name);
    }

    /// What is in each region. A volume counts from when its node chose the region until its namespace is destroyed, which
    /// may be long after its object is gone.
    fn occupancy(&self, status: &PmemNodeStatus) -> Vec<Occupancy> {
        let coming = |region: &RegionStatus| {
            let here = self.volumes.iter().filter(|(name, volume)| {
                let is_shown = region.volumes.iter().any(|shown| **shown == ***name);
                !is_shown && !volume.is_refused() && volume.pending().region.as_ref() == Some(&region.id)
            });
            here.count()
        };
        let occupancy = |region: &RegionStatus| Occupancy {
            region: region.id.clone(),
            size: region.size,
            volumes: coming(region)
                .saturating_add(region.volumes.len())
                .saturating_add(usize::try_from(region.foreign.count).unwrap_or(usize::MAX)),
        };
        status.regions.iter().map(occupancy).collect()
    }
}

/// Conditions and messages are for people: thousands of nodes would keep them for nothing. But a refusal says why a region is not
/// ready.
fn without_texts(status: &PmemNodeStatus) -> PmemNodeStatus {
    let erasing = |erasing: &ErasingVolume| ErasingVolume {
        message: String::new(),
        ..erasing.clone()
    };
    let why_unready = |region: &RegionStatus| match region.state {
        RegionState::Ready => String::new(),
        _ => region.message.clone(),
    };
    let region = |region: &RegionStatus| RegionStatus {
        message: why_unready(region),
        kept: Vec::new(),
        erasing: region.erasing.iter().map(erasing).collect(),
        quarantine: Vec::new(),
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
        ..status.to_placement()
    }
}
