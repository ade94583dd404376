//! What matters of a `PersistentVolume`.

use std::collections::{BTreeMap, BTreeSet};

use crds::{DRIVER_NAME, TOPOLOGY_KEY, bytes_of_quantity};
use k8s_openapi::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm, PersistentVolume};
use kube::ResourceExt;
use placement::Bytes;

use crate::ObjectKey;
use crate::access_mode::mode_names;
use crate::class::class_name;
use crate::names::HOSTNAME;

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

/// What matters of a `PersistentVolume` in the phase `Available`, whoever made it: a claim of its class can be bound to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvailableVolume {
    /// Its name.
    pub name: Box<str>,
    /// The name of its class; empty if it has none.
    pub class: Box<str>,
    pub(crate) capacity: Bytes,
    pub(crate) access_modes: BTreeSet<Box<str>>,
    pub(crate) is_block: bool,
    pub(crate) attributes_class: Box<str>,
    pub(crate) labels: BTreeMap<String, String>,
    /// The claim that it is kept for, and its unique id if that is said.
    pub(crate) kept_for: Option<(ObjectKey, Option<Box<str>>)>,
    /// The nodes that it can be reached from; none if it can be from all.
    pub nodes: Option<BTreeSet<Box<str>>>,
}

impl AvailableVolume {
    /// None for a volume that is bound, was released or is being deleted.
    #[must_use]
    pub fn of(volume: &PersistentVolume) -> Option<Self> {
        let (spec, status) = (volume.spec.as_ref()?, volume.status.as_ref()?);
        if status.phase.as_deref() != Some("Available") || volume.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let capacity = spec.capacity.as_ref()?.get("storage")?;
        let kept_for = spec.claim_ref.as_ref().map(|claim| {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let key = ObjectKey::new(&text(&claim.namespace), &text(&claim.name));
            (key, claim.uid.as_deref().filter(|uid| !uid.is_empty()).map(Into::into))
        });
        let class = class_name(volume.annotations(), spec.storage_class_name.as_ref());
        Some(Self {
            name: volume.name_any().into(),
            class: class.map(String::as_str).unwrap_or_default().into(),
            capacity: bytes_of_quantity(capacity).ok()?,
            access_modes: mode_names(spec.access_modes.as_ref()).collect(),
            is_block: spec.volume_mode.as_deref() == Some("Block"),
            attributes_class: spec.volume_attributes_class_name.as_deref().unwrap_or_default().into(),
            labels: volume.labels().clone(),
            kept_for,
            nodes: nodes_of(volume),
        })
    }

    /// Whether it can be reached from a node.
    #[must_use]
    pub fn is_reached_from(&self, node: &str) -> bool {
        self.nodes.as_ref().is_none_or(|nodes| nodes.contains(node))
    }
}

/// The nodes that match its affinity. Labels of nodes are not known here: a term that goes by others than those that have the
/// name of the node counts as one that no node matches.
fn nodes_of(volume: &PersistentVolume) -> Option<BTreeSet<Box<str>>> {
    let affinity = volume.spec.as_ref()?.node_affinity.as_ref()?;
    let terms = &affinity.required.as_ref()?.node_selector_terms;
    Some(terms.iter().filter_map(nodes_of_term).flatten().collect())
}

fn nodes_of_term(term: &NodeSelectorTerm) -> Option<BTreeSet<Box<str>>> {
    let named = |expression: &NodeSelectorRequirement| {
        let is_name = [TOPOLOGY_KEY, HOSTNAME].contains(&&*expression.key) && expression.operator == "In";
        let values = expression.values.iter().flatten();
        is_name.then(|| values.map(|node| node.as_str().into()).collect::<BTreeSet<Box<str>>>())
    };
    if term.match_fields.as_ref().is_some_and(|fields| !fields.is_empty()) {
        return None;
    }
    let mut each = term.match_expressions.iter().flatten().map(named);
    let first = each.next()??;
    each.try_fold(first, |nodes, other| {
        Some(nodes.intersection(&other?).cloned().collect())
    })
}
