//! Which NUMA nodes are there to choose from for the volumes that want to be together, and where those are that exist.

use std::collections::BTreeSet;

use crate::node::on_one_numa_node;
use crate::{Node, NumaNode, NumaWish, VolumeRequest};

/// Volumes that should be together are on several NUMA nodes already, so that no other can be together with them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "its class wishes it on one NUMA node with the other volumes of its pod, but these are on {}: give the claim another \
     class",
    listed(.0)
)]
pub struct Apart(BTreeSet<NumaNode>);

/// The one NUMA node where a further volume has to be, to be together with volumes on `numas`; none if there are none.
///
/// # Errors
/// If they are on several.
pub fn together_with(numas: BTreeSet<NumaNode>) -> Result<Option<NumaNode>, Apart> {
    if numas.len() > 1 {
        return Err(Apart(numas));
    }
    Ok(numas.first().copied())
}

fn listed(numas: &BTreeSet<NumaNode>) -> String {
    let each: Vec<String> = numas.iter().map(|numa| format!("NUMA {numa}")).collect();
    each.join(" and ")
}

impl Node {
    /// What `together` can come to for `wants` on this node: each NUMA node that has a region, ascending.
    ///
    /// A volume that is the only one to wish it may be anywhere. Where the platform does not say of any region on which
    /// NUMA node it is, all regions count as being on the same one. Where it says so of some, the others are out: nobody
    /// could tell that volumes there are together.
    pub(crate) fn choices(&self, requests: &[VolumeRequest]) -> Vec<NumaWish> {
        if on_one_numa_node(requests) == 0 {
            return vec![NumaWish::Any];
        }
        self.numa_nodes()
    }

    /// `want` once for everything that `together` can come to, whatever the other claims are; else `want` itself.
    ///
    /// Where all of these fit at once, in every order, the one that it comes to does so too.
    pub(crate) fn wherever(&self, request: VolumeRequest) -> Vec<VolumeRequest> {
        match request.numa {
            NumaWish::Any | NumaWish::Node(_) => vec![request],
            NumaWish::Together => self
                .wherever_choices()
                .into_iter()
                .map(|numa| request.settled(numa))
                .collect(),
        }
    }

    /// What `together` can come to, whether it is one claim that wishes it or several. One alone may also be in a region
    /// of which the platform does not tell.
    pub(crate) fn wherever_choices(&self) -> Vec<NumaWish> {
        let mut choices = self.numa_nodes();
        if self.regions.iter().any(|region| region.numa.is_none()) && !choices.contains(&NumaWish::Any) {
            choices.push(NumaWish::Any);
        }
        choices
    }

    fn numa_nodes(&self) -> Vec<NumaWish> {
        let known: BTreeSet<_> = self.regions.iter().filter_map(|region| region.numa).collect();
        if known.is_empty() {
            return vec![NumaWish::Any];
        }
        known.into_iter().map(NumaWish::Node).collect()
    }
}

impl VolumeRequest {
    /// The same, with `together` replaced by `choice`.
    pub(crate) fn settled(self, choice: NumaWish) -> Self {
        match self.numa {
            NumaWish::Together => Self { numa: choice, ..self },
            NumaWish::Any | NumaWish::Node(_) => self,
        }
    }
}
