//! The nodes that a volume may be on, as CSI topologies.

use std::collections::{BTreeMap, BTreeSet};

use crds::TOPOLOGY_KEY;
use csi::v1::{Topology, TopologyRequirement};

/// The nodes that a volume may be on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowedNodes {
    /// Every node.
    #[default]
    Any,
    /// These; a `preferred` one if it fits there.
    ///
    /// External-provisioner prefers all that are requisite, in an order made of a hash, so there the order means
    /// nothing; with --strict-topology, a claim with a selected node has that one only. Among nodes that are equally
    /// preferred, the best fit wins.
    Named {
        /// They are tried first.
        preferred: BTreeSet<String>,
        /// They are tried next; where there are none, every node is.
        requisite: BTreeSet<String>,
    },
}

/// A topology without our key: it names no node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the topology {0:?} does not name a node: it needs the key {key}", key = TOPOLOGY_KEY)]
pub struct ForeignTopology(pub BTreeMap<String, String>);

impl AllowedNodes {
    /// Reads the accessibility requirements of a CreateVolume call.
    ///
    /// # Errors
    /// If a topology does not have our key.
    pub fn parse(requirement: Option<&TopologyRequirement>) -> Result<Self, ForeignTopology> {
        let Some(requirement) = requirement else {
            return Ok(Self::Any);
        };
        let preferred = nodes(&requirement.preferred)?;
        let requisite = nodes(&requirement.requisite)?;
        if preferred.is_empty() && requisite.is_empty() {
            return Ok(Self::Any);
        }
        Ok(Self::Named { preferred, requisite })
    }

    /// The only node that a volume may be on, if there is but one.
    #[must_use]
    pub fn only(&self) -> Option<&str> {
        let Self::Named { preferred, requisite } = self else {
            return None;
        };
        let mut nodes = requisite.union(preferred);
        let only = nodes.next().filter(|_| !requisite.is_empty() && nodes.next().is_none());
        only.map(String::as_str)
    }

    /// Whether a volume may be on `node`. CSI: where only preferred topologies are given, any will do.
    #[must_use]
    pub fn allow(&self, node: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Named { requisite, preferred } => {
                requisite.is_empty() || requisite.contains(node) || preferred.contains(node)
            }
        }
    }
}

/// The node that a topology names.
///
/// # Errors
/// If it does not have our key: such a topology is from another driver.
pub fn node_of(topology: &Topology) -> Result<&str, ForeignTopology> {
    let node = topology.segments.get(TOPOLOGY_KEY).map(String::as_str);
    node.ok_or_else(|| ForeignTopology(topology.segments.clone().into_iter().collect()))
}

/// The topology that names `node`.
#[must_use]
pub fn topology_of(node: &str) -> Topology {
    Topology {
        segments: [(TOPOLOGY_KEY.into(), node.into())].into(),
    }
}

fn nodes(topologies: &[Topology]) -> Result<BTreeSet<String>, ForeignTopology> {
    topologies
        .iter()
        .map(|topology| node_of(topology).map(Into::into))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_nodes() {
        let requirement = TopologyRequirement {
            requisite: vec![topology_of("a"), topology_of("b")],
            preferred: vec![topology_of("b")],
        };
        let nodes = AllowedNodes::parse(Some(&requirement)).unwrap();
        assert!(nodes.allow("a") && !nodes.allow("c"));
        assert_eq!((nodes.only(), AllowedNodes::Any.only()), (None, None));
        let one = TopologyRequirement {
            requisite: vec![topology_of("a")],
            preferred: vec![topology_of("a")],
        };
        assert_eq!(AllowedNodes::parse(Some(&one)).unwrap().only(), Some("a"));
        assert_eq!(
            AllowedNodes::parse(Some(&TopologyRequirement::default())),
            Ok(AllowedNodes::Any)
        );
        assert!(AllowedNodes::Any.allow("c"));
    }

    #[test]
    fn a_topology_without_our_key_is_refused() {
        let zone = Topology {
            segments: [("zone".into(), "z".into())].into(),
        };
        let requirement = TopologyRequirement {
            requisite: vec![zone],
            preferred: vec![],
        };
        assert!(
            AllowedNodes::parse(Some(&requirement))
                .unwrap_err()
                .to_string()
                .contains(TOPOLOGY_KEY)
        );
    }
}
