//! What is needed of a node where its holes do not settle a question.

use crate::fits::Misfit;
use crate::reservations::Held;
use crate::{Explanation, Node, ReservedSpace, VolumeRequest};

/// What is needed of a node where its holes do not settle a question.
#[derive(Debug)]
pub(crate) struct Details {
    /// Without what space is held for, as if that were created in the order given.
    pub node: Node,
    pub held: Held,
    /// What is taken off for reservations.
    pub reserved: Vec<ReservedSpace>,
}

impl Details {
    pub fn explain(&self, requests: &[VolumeRequest], misfit: Misfit) -> Explanation {
        Explanation::new(&self.node.refusal(requests, misfit), &self.reserved)
    }
}
