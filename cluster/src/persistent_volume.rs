//! What matters of a `PersistentVolume`.

use crds::{DRIVER_NAME, TOPOLOGY_KEY};
use k8s_openapi::api::core::v1::PersistentVolume;

/// What matters of a `PersistentVolume` of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeOfOurs {
    /// The id of the CSI volume, which is the name of its `PmemVolume`.
    pub handle: Box<str>,
    /// The node that its affinity names.
    pub node: Option<Box<str>>,
}

impl VolumeOfOurs {
    /// None for a volume of another driver.
    #[must_use]
    pub fn of(volume: &PersistentVolume) -> Option<Self> {
        let spec = volume.spec.as_ref()?;
        let csi = spec.csi.as_ref().filter(|csi| csi.driver == DRIVER_NAME)?;
        Some(Self {
            handle: csi.volume_handle.as_str().into(),
            node: node_of(volume),
        })
    }
}

fn node_of(volume: &PersistentVolume) -> Option<Box<str>> {
    let affinity = volume.spec.as_ref()?.node_affinity.as_ref()?;
    let terms = affinity.required.as_ref()?.node_selector_terms.iter();
    let mut expressions = terms.flat_map(|term| term.match_expressions.iter().flatten());
    let ours = expressions.find(|expression| expression.key == TOPOLOGY_KEY)?;
    ours.values.as_ref()?.first().map(|node| node.as_str().into())
}
