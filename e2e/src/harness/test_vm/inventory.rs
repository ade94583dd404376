//! What the node driver sees of the devices.

use anyhow::{Context, Result};
use crds::RegionStatus;
use placement::{Bytes, Extent, NumaNode, RegionId};
use serde::Deserialize;

use super::{DRIVER, TestVm};

/// What `daxfit-node-driver inventory` prints.
#[derive(Debug, Deserialize)]
pub(crate) struct Inventory {
    /// Through what it sees them.
    pub(crate) backend: String,
    /// All regions.
    pub(crate) regions: Vec<RegionStatus>,
    /// Whoever they belong to.
    pub(crate) namespaces: Vec<Namespace>,
}

/// A namespace as it was listed.
#[derive(Debug, Deserialize)]
pub(crate) struct Namespace {
    /// In its label: of a volume, its id and how far it has come.
    pub(crate) name: String,
    /// Whether its label is on each module.
    pub(crate) is_recorded: bool,
    /// Where it is.
    pub(crate) region: RegionId,
    /// The raw bytes it takes.
    pub(crate) extent: Extent,
    /// Such as `fsdax`.
    pub(crate) mode: String,
    /// Its block device, if it has one.
    pub(crate) block: Option<String>,
    /// Bytes of that.
    pub(crate) usable: Option<Bytes>,
}

/// Has the driver look.
pub(crate) async fn inventory(vm: &TestVm) -> Result<Inventory> {
    let printed = vm.shell(&format!("{DRIVER} inventory")).await?;
    serde_json::from_str(&printed).with_context(|| format!("not an inventory: {printed}"))
}

impl Namespace {
    /// The id of its volume, if it is one: what stands before how far it has come.
    pub(crate) fn volume(&self) -> &str {
        self.name.split('.').next().unwrap_or_default()
    }
}

impl Inventory {
    /// The region on a NUMA node.
    pub(crate) fn on(&self, numa: u32) -> Result<&RegionStatus> {
        let mut regions = self.regions.iter();
        let found = regions.find(|region| region.numa_node == Some(NumaNode(numa)));
        found.with_context(|| format!("no region on NUMA {numa}: {self:?}"))
    }

    /// The namespace of a volume.
    pub(crate) fn named(&self, volume: &str) -> Result<&Namespace> {
        let found = self.namespaces.iter().find(|namespace| namespace.volume() == volume);
        found.with_context(|| format!("no namespace of {volume}: {self:?}"))
    }
}
