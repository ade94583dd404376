//! All regions and namespaces of a node at one moment.

use std::path::PathBuf;

use crds::{BusProvider, PersistenceDomain, RegionState, RegionStatus};
use placement::{Alignment, Bytes, Extent, NumaNode, RegionId, free_between};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::mark::{self, Owner};

/// All regions and namespaces at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// Regions of type pmem, in the order in which the kernel lists them.
    pub regions: Vec<Region>,
    /// Namespaces that take space in them.
    pub namespaces: Vec<Namespace>,
}

/// A region as it was listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Region {
    /// Stable over reboots.
    pub id: RegionId,
    /// What the kernel calls it now.
    pub device: String,
    /// How the kernel reaches its modules.
    pub bus: BusProvider,
    /// None if the platform does not report it.
    pub numa: Option<NumaNode>,
    /// Its raw bytes, free or not.
    pub size: Bytes,
    /// What the start and the size of each namespace are multiples of.
    pub alignment: Alignment,
    /// Over how many modules it is interleaved.
    pub ways: u32,
    /// What has to be flushed so that it survives a power loss.
    pub persistence_domain: PersistenceDomain,
    /// Whether volumes can be made in it.
    pub state: RegionState,
    /// Why it is not ready and what to do, empty when it is.
    pub message: String,
}

/// A namespace as it was listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Namespace {
    /// The name in its label; empty if it has none.
    pub name: String,
    /// The UUID in its label.
    pub uuid: Option<Uuid>,
    /// Whether its label, with this name and UUID, is on each of its modules: only then it survives a reboot as it is.
    pub is_recorded: bool,
    /// What the kernel calls it now.
    pub device: String,
    /// The region it is in.
    pub region: RegionId,
    /// The raw bytes it takes.
    pub extent: Extent,
    /// How it presents its bytes now.
    pub mode: NamespaceMode,
    /// Its block device; none if it has none in its mode.
    pub block: Option<PathBuf>,
    /// Size of that block device.
    pub usable: Option<Bytes>,
}

/// How a namespace presents its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceMode {
    /// As they are: it was not configured, or not to the end.
    Raw,
    /// As a block device whose files can be mapped directly.
    Fsdax,
    /// As a block device whose sectors are written whole or not at all (BTT).
    Sector,
    /// As a character device. No volume has this mode.
    Devdax,
}

impl Inventory {
    /// The region `id`.
    #[must_use]
    pub fn region(&self, id: &RegionId) -> Option<&Region> {
        self.regions.iter().find(|region| region.id == *id)
    }

    /// All namespaces named `name`; none have the empty name.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Namespace> {
        self.namespaces
            .iter()
            .filter(move |namespace| !name.is_empty() && namespace.name == name)
    }

    /// The free extents of a region: none unless it is ready.
    #[must_use]
    pub fn free(&self, region: &Region) -> Vec<Extent> {
        if region.state != RegionState::Ready {
            return Vec::new();
        }
        let here = self.namespaces.iter().filter(|ns| ns.region == region.id);
        free_between(region.size, here.map(|namespace| namespace.extent))
    }

    /// The regions as a PmemNode reports them; namespaces for which `is_ours` is false are foreign.
    pub fn to_status(&self, is_ours: impl Fn(&Namespace) -> bool) -> Vec<RegionStatus> {
        let status = |region: &Region| {
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

impl Namespace {
    /// Whose it is, by its label.
    #[must_use]
    pub fn owner(&self) -> Owner<'_> {
        mark::read(&self.name, self.uuid)
    }
}

impl Region {
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
            kept: Vec::new(),
            erasing: Vec::new(),
            quarantine: Vec::new(),
            foreign,
        }
    }
}
