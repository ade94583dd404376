//! Volumes that wish to be together: where those are that exist, and which NUMA nodes the others can choose among.

use std::collections::BTreeSet;

use smallvec::{SmallVec, smallvec};

use crate::holes::{Footprints, Holes};
use crate::{NumaNode, NumaWish, PodRequest, VolumeRequest};

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
/// [`Apart`] if they are on several: whatever the further volume gets, it cannot be together with all of them.
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

/// What `together` can come to: each is [`NumaWish::Node`] or, where it makes no difference, [`NumaWish::Any`].
pub(crate) type Choices = SmallVec<[NumaWish; 4]>;

impl Holes {
    /// What `together` can come to for all requests of a pod: each NUMA node that has a region, ascending.
    ///
    /// A volume that is the only one to wish it may be anywhere. If the platform gives no region a NUMA node, all regions
    /// count as being on the same one. If it gives some of them one, the others are out: whether volumes there are together
    /// is unknown.
    pub fn choices(&self, pod_request: &PodRequest) -> Choices {
        if pod_request.is_bound_together() {
            self.numa_nodes()
        } else {
            smallvec![NumaWish::Any]
        }
    }

    /// What `together` can come to for claims that may not be all that wish it: one alone may also be in a region that
    /// has no NUMA node.
    pub fn choices_of_some(&self) -> Choices {
        let mut choices = self.numa_nodes();
        if self.regions().iter().any(|region| region.numa.is_none()) && !choices.contains(&NumaWish::Any) {
            choices.push(NumaWish::Any);
        }
        choices
    }

    /// What `together` can come to for the requests of a pod, without what is too small for them.
    pub fn choices_that_may_hold(&self, requests: &[VolumeRequest]) -> Choices {
        let mut choices = self.choices_of_some();
        choices.retain(|choice| {
            let together = requests.iter().filter(|request| request.numa == NumaWish::Together);
            let footprints: Vec<Footprints> = together
                .map(|request| request.settled(*choice).footprints(self))
                .collect();
            self.may_hold(&footprints)
        });
        choices
    }

    fn numa_nodes(&self) -> Choices {
        let numas: BTreeSet<_> = self.regions().iter().filter_map(|region| region.numa).collect();
        if numas.is_empty() {
            return smallvec![NumaWish::Any];
        }
        numas.into_iter().map(NumaWish::Node).collect()
    }
}

impl VolumeRequest {
    /// The request once for each of `choices` if it wishes to be together, else the request itself.
    ///
    /// Where all of these fit at once, in every order, the one that it comes to does so too.
    pub(crate) fn in_each(self, choices: &[NumaWish]) -> SmallVec<[Self; 4]> {
        match self.numa {
            NumaWish::Any | NumaWish::Node(_) => smallvec![self],
            NumaWish::Together => choices.iter().map(|choice| self.settled(*choice)).collect(),
        }
    }
}
