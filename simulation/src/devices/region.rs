//! A region: its bytes, and what of it the kernel shows.

use crds::{BusProvider, PersistenceDomain, RegionState};
use node_driver::devices;
use placement::{Alignment, Bytes, Extent, NumaNode, Offer, RegionId, free_between};

use super::granules::{Granules, granules_of};
use super::label_area::ModelAreas;
use super::namespace::ModelNamespace;
use super::tag::Tag;

/// A region of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionSpec {
    /// Its stable name.
    pub id: String,
    /// The NUMA node, if the platform says.
    pub numa: Option<u32>,
    /// All its bytes.
    pub size: Bytes,
    /// In what unit it hands out space: a multiple of 4 KiB.
    pub alignment: Bytes,
}

#[derive(Debug)]
pub(super) struct ModelRegion {
    pub(super) id: RegionId,
    pub(super) device: String,
    pub(super) numa: Option<NumaNode>,
    pub(super) size: Bytes,
    pub(super) alignment: Alignment,
    /// What a read shows.
    pub(super) shown: Granules,
    /// What a power loss leaves, at least.
    pub(super) durable: Granules,
    /// Bad blocks that the kernel lists.
    pub(super) bad: Vec<Extent>,
    /// Bad blocks that it does not know of yet.
    pub(super) bad_unknown: Vec<Extent>,
    /// Shown as free, but refused.
    pub(super) withheld: Vec<Extent>,
    pub(super) is_listed: bool,
    pub(super) state: RegionState,
    /// Whether its namespaces are shown, in a state in which they may or may not be.
    pub(super) shows_namespaces: bool,
    /// What the kernel forgot although its label is still on the modules: it is there again after a reboot.
    pub(super) ghosts: Vec<ModelNamespace>,
    /// What the modules have of labels, and had.
    pub(super) areas: ModelAreas,
}

impl ModelRegion {
    /// None if no region can have such an alignment.
    pub(super) fn new(position: usize, spec: &RegionSpec) -> Option<Self> {
        let alignment = Alignment::try_from(spec.alignment).ok()?;
        let dirty = Granules::filled(spec.size, Tag::Earlier);
        Some(Self {
            id: RegionId(spec.id.clone()),
            device: format!("region{position}"),
            numa: spec.numa.map(NumaNode),
            size: spec.size,
            alignment,
            durable: dirty.clone(),
            shown: dirty,
            bad: Vec::new(),
            bad_unknown: Vec::new(),
            withheld: Vec::new(),
            is_listed: true,
            state: RegionState::Ready,
            shows_namespaces: true,
            ghosts: Vec::new(),
            areas: ModelAreas::default(),
        })
    }

    /// The state as the driver is shown it.
    pub(super) fn shown_state(&self) -> RegionState {
        if self.state == RegionState::Ready && !self.ghosts.is_empty() {
            RegionState::NotSeen
        } else {
            self.state
        }
    }

    pub(super) fn listed(&self) -> devices::Region {
        let state = self.shown_state();
        devices::Region {
            id: self.id.clone(),
            device: self.device.clone(),
            bus: BusProvider::Nfit,
            numa: self.numa,
            size: self.size,
            alignment: self.alignment,
            ways: 1,
            persistence_domain: PersistenceDomain::MemoryController,
            state,
            message: match state {
                RegionState::Ready => String::new(),
                other => format!("{} is {other}", self.device),
            },
            bad: self.bad.clone(),
            // Space that the kernel does not give is not told of: what it refuses has to do.
            offer: Offer::EVERYTHING,
        }
    }

    /// Where the kernel puts a namespace beside those that take space: in the lowest hole that fits.
    pub(super) fn place(&self, taken: impl Iterator<Item = Extent>, footprint: Bytes) -> Option<Extent> {
        let free = free_between(self.size, taken.chain(self.withheld.iter().copied()));
        let space = placement::Region {
            id: self.id.clone(),
            numa: self.numa,
            alignment: self.alignment,
            free,
        };
        let hole = space.hole_for(footprint)?;
        let start = space.free.get(hole)?.aligned(self.alignment.get()).start;
        Some(Extent::new(start, footprint))
    }

    pub(super) fn has_bad(&self, part: Extent) -> bool {
        let mut bad = self.bad.iter().chain(&self.bad_unknown);
        bad.any(|bad| bad.overlaps(part))
    }

    /// Writes what survives a power loss at once.
    pub(super) fn write(&mut self, extent: Extent, tag: Tag) {
        self.write_cached(extent, tag);
        self.flush(extent);
    }

    /// Writes what a power loss may take back.
    pub(super) fn write_cached(&mut self, extent: Extent, tag: Tag) {
        self.shown.set(granules_of(extent), tag);
    }

    pub(super) fn flush(&mut self, extent: Extent) {
        self.durable.copy(&self.shown, granules_of(extent));
    }

    /// Whether all that may be found in an extent, also after a power loss, is of that kind. Bad blocks hold nothing.
    pub(super) fn holds_only(&self, extent: Extent, is_fine: impl Fn(Tag) -> bool) -> bool {
        let layers = [&self.shown, &self.durable];
        layers.into_iter().all(|layer| {
            let mut runs = layer.runs(granules_of(extent));
            runs.all(|(_, tag)| is_fine(tag))
        })
    }
}
