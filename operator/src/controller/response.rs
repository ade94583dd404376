//! A PmemVolume as CSI shows it.

use crds::{PARAMETER_PREFIX, PmemVolume};
use csi::v1::{Volume, VolumeCondition};
use kube::ResourceExt;
use placement::Bytes;

use super::request::topology_of;
use crate::index::Index;

/// The volume, with its usable bytes (0 until they are known) and the node that reaches it. Its `PersistentVolume` tells mode and
/// region for good, should its object be lost.
#[must_use]
pub fn to_csi(volume: &PmemVolume) -> Volume {
    let usable = volume.status.as_ref().and_then(|status| status.usable);
    let region = volume.region();
    let mode = serde_json::to_value(volume.spec.mode).ok();
    let mode = mode.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
    Volume {
        volume_id: volume.name_any(),
        capacity_bytes: usable.map_or(0, Bytes::get),
        volume_context: [("mode", mode.to_owned())]
            .into_iter()
            .chain(region.map(|region| ("region", region.to_string())))
            .map(|(name, value)| (format!("{PARAMETER_PREFIX}{name}"), value))
            .collect(),
        accessible_topology: vec![topology_of(&volume.spec.node)],
        content_source: None,
    }
}

/// Abnormal while the node of the volume reports nothing.
#[must_use]
pub fn condition(index: &Index, volume: &PmemVolume) -> VolumeCondition {
    let node = &volume.spec.node;
    match index.node_uid(node) {
        Some(_) => VolumeCondition {
            abnormal: false,
            message: format!("node {node} reports its persistent memory"),
        },
        None => VolumeCondition {
            abnormal: true,
            message: format!("node {node} does not report persistent memory: it is gone, or its driver does not run"),
        },
    }
}
