//! Which nodes have no driver of ours.

use std::collections::HashSet;

use crds::{DRIVER_NAME, TOPOLOGY_KEY};
use k8s_openapi::api::storage::v1::CSINode;

use crate::ObjectKey;

/// The nodes whose kubelet has no driver of ours: their CSINode does not list it, whatever the label of the Node says, which the
/// kubelet leaves when a driver goes. No volume is made there, and external-provisioner asks for none
/// (`GenerateAccessibilityRequirements`).
///
/// A node without a CSINode is none of them: the kubelet makes it before it registers a driver, and it goes with the Node.
#[derive(Clone, Debug, Default)]
pub struct DriverlessNodes(HashSet<Box<str>>);

impl DriverlessNodes {
    /// Takes in a CSINode. Returns whether that makes a difference.
    pub fn put(&mut self, csi_node: &CSINode) -> bool {
        let name = csi_node.metadata.name.as_deref().unwrap_or_default();
        if lists_driver(csi_node) {
            self.0.remove(name)
        } else {
            self.0.insert(name.into())
        }
    }

    /// A CSINode is gone. Returns whether that makes a difference.
    pub fn remove(&mut self, node: &str) -> bool {
        self.0.remove(node)
    }

    /// The nodes that are not in `listed`.
    #[must_use]
    pub fn not_in(&self, listed: &HashSet<ObjectKey>) -> Vec<ObjectKey> {
        let keys = self.0.iter().map(|name| ObjectKey::new("", name));
        keys.filter(|key| !listed.contains(key)).collect()
    }

    /// Whether this node is one of them.
    #[must_use]
    pub fn contains(&self, node: &str) -> bool {
        self.0.contains(node)
    }

    /// The names of all.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

fn lists_driver(csi_node: &CSINode) -> bool {
    csi_node.spec.drivers.iter().any(|driver| {
        let mut keys = driver.topology_keys.iter().flatten();
        driver.name == DRIVER_NAME && keys.any(|key| key == TOPOLOGY_KEY)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn csi_node(drivers: &[(&str, &str)]) -> CSINode {
        let driver = |(name, key): &(&str, &str)| json!({ "name": name, "nodeID": "n", "topologyKeys": [key] });
        let drivers: Vec<_> = drivers.iter().map(driver).collect();
        serde_json::from_value(json!({ "metadata": { "name": "n" }, "spec": { "drivers": drivers } })).unwrap()
    }

    #[test]
    fn a_driver_counts_while_it_is_listed_with_our_topology() {
        let mut nodes = DriverlessNodes::default();
        let ours = (DRIVER_NAME, TOPOLOGY_KEY);
        assert!(!nodes.put(&csi_node(&[("other", "a"), ours])));
        assert!(!nodes.contains("n"));
        for without in [&[][..], &[("other", TOPOLOGY_KEY)], &[(DRIVER_NAME, "other")]] {
            assert!(nodes.put(&csi_node(without)), "{without:?}");
            assert!(nodes.contains("n") && !nodes.put(&csi_node(without)));
            assert!(nodes.put(&csi_node(&[ours])));
        }
    }

    #[test]
    fn who_has_no_csi_node_is_not_held_back() {
        let mut nodes = DriverlessNodes::default();
        nodes.put(&csi_node(&[]));
        assert_eq!(nodes.not_in(&HashSet::new()), [ObjectKey::new("", "n")]);
        assert!(nodes.remove("n") && !nodes.contains("n"));
    }
}
