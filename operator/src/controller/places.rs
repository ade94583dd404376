//! Where a volume may be.

use std::collections::{BTreeMap, BTreeSet};

use crds::TOPOLOGY_KEY;
use csi::v1::{Topology, TopologyRequirement};

/// The nodes that a volume may be on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Places {
    /// All of them.
    #[default]
    Anywhere,
    /// On these; on a `preferred` one if it fits there.
    ///
    /// External-provisioner prefers all that are requisite, in an order made of a hash, so there the order means
    /// nothing; with --strict-topology, a claim with a selected node has that one only. Among nodes that are equally
    /// preferred, the best fit wins.
    Nodes {
        /// Where it should be.
        preferred: BTreeSet<String>,
        /// Where it may be.
        requisite: BTreeSet<String>,
    },
}

/// The topology is not one of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the topology {0:?} does not name a node: it needs the key {key}", key = TOPOLOGY_KEY)]
pub struct ForeignTopology(pub BTreeMap<String, String>);

impl Places {
    /// Reads the accessibility requirements of a CreateVolume call.
    ///
    /// # Errors
    /// If a topology does not have our key.
    pub fn of(requirement: Option<&TopologyRequirement>) -> Result<Self, ForeignTopology> {
        let Some(requirement) = requirement else {
            return Ok(Self::Anywhere);
        };
        let preferred = nodes(&requirement.preferred)?;
        let requisite = nodes(&requirement.requisite)?;
        if preferred.is_empty() && requisite.is_empty() {
            return Ok(Self::Anywhere);
        }
        Ok(Self::Nodes { preferred, requisite })
    }

    /// Whether a volume on `node` is where it may be. CSI: with preferred topologies only, any place will do.
    #[must_use]
    pub fn allow(&self, node: &str) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Nodes { requisite, preferred } => {
                requisite.is_empty() || requisite.contains(node) || preferred.contains(node)
            }
        }
    }
}

/// The node that a topology names.
///
/// # Errors
/// If it does not have our key.
pub fn node_of(topology: &Topology) -> Result<&str, ForeignTopology> {
    let node = topology.segments.get(TOPOLOGY_KEY).map(String::as_str);
    node.ok_or_else(|| ForeignTopology(topology.segments.clone().into_iter().collect()))
}

/// The topology of a node.
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
        let places = Places::of(Some(&requirement)).unwrap();
        assert!(places.allow("a") && !places.allow("c"));
        assert_eq!(Places::of(Some(&TopologyRequirement::default())), Ok(Places::Anywhere));
        assert!(Places::Anywhere.allow("c"));
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
            Places::of(Some(&requirement))
                .unwrap_err()
                .to_string()
                .contains(TOPOLOGY_KEY)
        );
    }
}
