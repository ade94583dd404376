//! What a look at the devices found.

use std::path::PathBuf;

use crds::{BusProvider, PersistenceDomain, RegionState, RegionStatus};
use placement::{Alignment, Bytes, Extent, NumaNode, RegionId, free_between};
use serde::{Deserialize, Serialize};

/// All regions and namespaces at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// Regions of type pmem, in the order in which the kernel lists them.
    pub regions: Vec<RegionFound>,
    /// Namespaces that take space in them.
    pub namespaces: Vec<Namespace>,
}

/// A region as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RegionFound {
    /// Stable over reboots.
    pub id: RegionId,
    /// What the kernel calls it now.
    pub device: String,
    /// What kind of bus it hangs on.
    pub bus: BusProvider,
    /// Its NUMA node, if the platform says.
    pub numa: Option<NumaNode>,
    /// All its bytes.
    pub size: Bytes,
    /// The unit in which it hands out space.
    pub alignment: Alignment,
    /// Over how many modules it is interleaved.
    pub ways: u32,
    /// What survives a power loss.
    pub persistence_domain: PersistenceDomain,
    /// Whether volumes can be made in it.
    pub state: RegionState,
    /// Why it is not ready and what to do, empty when it is.
    pub message: String,
}

/// A namespace as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Namespace {
    /// Its name; empty if it has none.
    pub name: String,
    /// What the kernel calls it now.
    pub device: String,
    /// The region it is in.
    pub region: RegionId,
    /// The raw bytes it takes.
    pub extent: Extent,
    /// How it presents its bytes.
    pub mode: FoundMode,
    /// Its block device, if it has one in its mode.
    pub block: Option<PathBuf>,
    /// Size of that block device.
    pub usable: Option<Bytes>,
}

/// How a namespace presents its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FoundMode {
    /// As they are: nothing was configured, or not to the end.
    Raw,
    /// File systems and block devices that can be mapped directly.
    Fsdax,
    /// Power-fail atomic sectors (BTT).
    Sector,
    /// A character device.
    Devdax,
}

impl Inventory {
    /// The region with that id.
    #[must_use]
    pub fn region(&self, id: &RegionId) -> Option<&RegionFound> {
        self.regions.iter().find(|region| region.id == *id)
    }

    /// All namespaces of that name; an empty name is nobody's.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Namespace> {
        self.namespaces
            .iter()
            .filter(move |found| !name.is_empty() && found.name == name)
    }

    /// Free extents of a region: none unless it is ready.
    #[must_use]
    pub fn free(&self, region: &RegionFound) -> Vec<Extent> {
        if region.state != RegionState::Ready {
            return Vec::new();
        }
        let here = self.namespaces.iter().filter(|ns| ns.region == region.id);
        free_between(region.size, here.map(|namespace| namespace.extent))
    }

    /// The regions as a PmemNode shows them; namespaces for which `is_ours` says no are foreign.
    pub fn to_status(&self, is_ours: impl Fn(&Namespace) -> bool) -> Vec<RegionStatus> {
        let status = |region: &RegionFound| {
            let here = self.namespaces.iter().filter(|ns| ns.region == region.id);
            let (ours, others): (Vec<_>, Vec<_>) = here.partition(|namespace| is_ours(namespace));
            let foreign = crds::ForeignNamespaces {
                count: u32::try_from(others.len()).unwrap_or(u32::MAX),
                bytes: others.iter().map(|namespace| namespace.extent.size).sum(),
            };
            let volumes = ours.iter().map(|namespace| namespace.name.clone()).collect();
            RegionStatus {
                volumes,
                ..region.to_status(self.free(region), foreign)
            }
        };
        self.regions.iter().map(status).collect()
    }

    /// The ready regions as placement sees them.
    #[must_use]
    pub fn to_placement(&self) -> placement::Node {
        let regions = self.to_status(|_| true);
        placement::Node {
            regions: regions.iter().filter_map(RegionStatus::to_placement).collect(),
        }
    }
}

impl RegionFound {
    fn to_status(&self, free: Vec<Extent>, foreign: crds::ForeignNamespaces) -> RegionStatus {
        RegionStatus {
            id: self.id.clone(),
            device: self.device.clone(),
            bus: self.bus,
            numa_node: self.numa,
            size: self.size,
            alignment: self.alignment,
            ways: self.ways,
            persistence_domain: self.persistence_domain,
            state: self.state,
            message: self.message.clone(),
            free,
            volumes: Vec::new(),
            foreign,
        }
    }
}
