//! NUMA nodes, and which of them a claim wishes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A NUMA node, as the kernel numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(inline))]
#[serde(transparent)]
pub struct NumaNode(pub u32);

impl fmt::Display for NumaNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The NUMA node that a claim wishes its bytes to be on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NumaWish {
    /// None in particular: the bytes go where they fit best.
    #[default]
    Any,
    /// This one and no other.
    Node(NumaNode),
    /// The same one for all volumes of the pod that wish this, whichever it is.
    ///
    /// Which one it is depends on all claims of the pod: [`Node::settle`](crate::Node::settle) replaces this by one of the
    /// others. To a claim alone it means no more than [`Any`](Self::Any), because a volume is never on two.
    Together,
}

impl NumaWish {
    /// Whether a volume with this wish may be in a region on `numa`, as far as other volumes have no part in it.
    #[must_use]
    pub fn allows(self, numa: Option<NumaNode>) -> bool {
        match self {
            Self::Any | Self::Together => true,
            Self::Node(wished) => numa == Some(wished),
        }
    }
}
