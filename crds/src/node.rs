//! What one node has.
#![expect(
    clippy::duplicated_attributes,
    reason = "every printcolumn of the derive has a type_ of its own"
)]

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use placement::{Alignment, Bytes, Extent, NumaNode, Region, RegionId, UnreadyRegion};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{DRIVER_SILENT, READY};
use crate::volume::{EraseProgress, VolumeMode};

/// A node with persistent memory. Its name is the name of the Node, which owns it; only the node's own driver writes
/// it. There is nothing to set: everything is in its status.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "daxfit.dev",
    version = "v1alpha1",
    kind = "PmemNode",
    plural = "pmemnodes",
    shortname = "pmn",
    category = "daxfit",
    no_spec,
    status = "PmemNodeStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "A node with persistent memory: its regions, their free extents, and what is wrong with them. Written by the node's own driver only.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason"
    ),
    printcolumn(
        name = "Size",
        type_ = "integer",
        json_path = ".status.totals.size",
        description = "Bytes in all regions"
    ),
    printcolumn(
        name = "Free",
        type_ = "integer",
        json_path = ".status.totals.free",
        description = "Raw free bytes in ready regions"
    ),
    printcolumn(
        name = "Largest",
        type_ = "integer",
        json_path = ".status.totals.largest",
        description = "Raw bytes of the largest free extent"
    ),
    printcolumn(name = "Backend", type_ = "string", json_path = ".status.backend", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct PmemNodeFields {}

/// What the node's driver found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PmemNodeStatus {
    /// Grows by one whenever any extent changes.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub layout_revision: i64,
    /// What the driver works on: "libndctl", or "emulated" for files that only look like persistent memory.
    #[serde(default)]
    pub backend: String,
    /// Sums over the regions, for people.
    #[serde(default)]
    pub totals: NodeTotals,
    /// All regions of persistent memory, ready or not.
    #[serde(default)]
    pub regions: Vec<RegionStatus>,
    /// What is wrong and what to do about it.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Sums over the regions of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct NodeTotals {
    /// Bytes in all regions.
    pub size: Bytes,
    /// Raw free bytes in ready regions.
    pub free: Bytes,
    /// Raw bytes of the largest free extent in a ready region.
    pub largest: Bytes,
}

/// One region of persistent memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegionStatus {
    /// Stable over reboots: made of the ids and positions of the modules behind it.
    pub id: RegionId,
    /// What the kernel calls it now, such as "region0".
    pub device: String,
    /// What kind of bus it hangs on.
    pub bus: BusProvider,
    /// The NUMA node it belongs to, if the platform says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numa_node: Option<NumaNode>,
    /// All its bytes.
    pub size: Bytes,
    /// The unit in which it hands out space.
    pub alignment: Alignment,
    /// Over how many modules it is interleaved.
    #[schemars(range(min = 1))]
    pub ways: u32,
    /// What survives a power loss.
    pub persistence_domain: PersistenceDomain,
    /// Whether volumes can be made in it.
    pub state: RegionState,
    /// Why it is not ready, or why not all of it can be used, and what to do; empty if there is nothing to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Free extents, ascending.
    #[serde(default)]
    pub free: Vec<Extent>,
    /// How many of these bytes may hold something. They become zero in the background; a volume that gets some of them before is
    /// ready once they are. Absent if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_zero: Option<Bytes>,
    /// Volumes whose namespaces are there, so that their bytes are not in the free extents, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    /// Volumes whose namespaces are there, but no PmemVolume: their data is kept. An object is made anew while a
    /// PersistentVolume names it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<KeptVolume>,
    /// Deleted volumes whose bytes are not all zero yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub erasing: Vec<ErasingVolume>,
    /// Bytes that cannot be zeroed: they are left out of what is free until an administrator releases them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quarantine: Vec<QuarantinedBytes>,
    /// Namespaces that are not volumes: somebody's data, never touched.
    #[serde(default)]
    pub foreign: ForeignNamespaces,
}

/// A volume that is on the device, but has no PmemVolume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct KeptVolume {
    /// The id of the volume.
    pub name: String,
    /// How the namespace presents its bytes; none while it is not enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<VolumeMode>,
    /// Usable bytes it has; none while it is not enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usable: Option<Bytes>,
    /// The raw bytes it takes.
    pub footprint: Extent,
    /// Whether nobody has used it yet, so that nobody has data in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unused: bool,
}

/// A deleted volume whose bytes are not all zero yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ErasingVolume {
    /// The id of the volume.
    pub name: String,
    /// How far erasing has come.
    #[serde(flatten)]
    pub progress: EraseProgress,
    /// About when it is over, as fast as it went so far; none as long as that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_at: Option<Time>,
    /// Why it does not go on and what to do, empty while it does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Bytes of a region that cannot be zeroed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct QuarantinedBytes {
    /// Where they are in the region.
    pub extent: Extent,
    /// What keeps them out of use, and how an administrator releases them.
    pub message: String,
}

/// Namespaces that are not volumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct ForeignNamespaces {
    /// How many.
    pub count: u32,
    /// Their raw bytes.
    pub bytes: Bytes,
}

/// What kind of bus a region hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum BusProvider {
    /// NVDIMMs described by ACPI.
    #[serde(rename = "NFIT")]
    Nfit,
    /// CXL memory devices.
    #[serde(rename = "CXL")]
    Cxl,
    /// Memory that firmware or the kernel command line calls persistent.
    #[serde(rename = "e820")]
    E820,
    /// Files that look like persistent memory.
    #[serde(rename = "emulated")]
    Emulated,
    /// Any other.
    #[serde(rename = "other")]
    Other,
}

/// What survives a power loss (`persistence_domain` of a region in sysfs).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum PersistenceDomain {
    /// What has reached the memory controller.
    MemoryController,
    /// CPU caches as well.
    CpuCache,
    /// The platform does not say.
    Unknown,
}

/// Whether volumes can be made in a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum RegionState {
    /// Yes.
    Ready,
    /// Its modules have no label area, or one that was never written.
    Unprepared,
    /// It is read-only, or a module of it may lose what is written.
    ReadOnly,
    /// It is disabled.
    Disabled,
    /// It does not start on an address that the kernel can map.
    Misaligned,
    /// It can be read, but something is wrong with it.
    Degraded,
    /// What is in it cannot be seen completely now, so nothing is concluded from what is not there.
    NotSeen,
}

impl RegionState {
    /// Whether every namespace of the region is shown: only then a namespace that is not shown does not exist.
    #[must_use]
    pub fn shows_namespaces(self) -> bool {
        match self {
            Self::Ready | Self::ReadOnly | Self::Misaligned | Self::Degraded => true,
            Self::Unprepared | Self::Disabled | Self::NotSeen => false,
        }
    }
}

impl fmt::Display for RegionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl RegionStatus {
    /// The ids of all volumes that are in it, are kept there or erased, in no particular order; some more than once.
    pub fn volume_names(&self) -> impl Iterator<Item = &str> {
        let kept = self.kept.iter().map(|kept| &kept.name);
        let erasing = self.erasing.iter().map(|erasing| &erasing.name);
        self.volumes.iter().chain(kept).chain(erasing).map(String::as_str)
    }

    /// The regions of a node as placement sees them.
    #[must_use]
    pub fn all_to_placement(regions: &[Self]) -> placement::Node {
        let unready = regions.iter().filter(|region| region.state != RegionState::Ready);
        placement::Node {
            regions: regions.iter().filter_map(Self::to_placement).collect(),
            unready: unready.map(Self::to_unready).collect(),
        }
    }

    fn to_unready(&self) -> UnreadyRegion {
        UnreadyRegion {
            numa: self.numa_node,
            why: self.message.clone(),
        }
    }

    /// The region as placement sees it, if volumes can be made in it.
    #[must_use]
    pub fn to_placement(&self) -> Option<Region> {
        (self.state == RegionState::Ready).then(|| Region {
            id: self.id.clone(),
            numa: self.numa_node,
            alignment: self.alignment,
            free: self.free.clone(),
        })
    }
}

impl PmemNodeStatus {
    /// The regions as placement sees them, without volumes that are not in the extents yet.
    #[must_use]
    pub fn to_placement(&self) -> placement::Node {
        RegionStatus::all_to_placement(&self.regions)
    }

    /// Whether the operator found the driver of the node silent, so that nobody knows what the node has now.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        let mut conditions = self.conditions.iter();
        conditions.any(|condition| condition.type_ == READY && condition.reason == DRIVER_SILENT)
    }
}
