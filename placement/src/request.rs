//! What one claim asks for.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Bytes, Mode};

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

/// Which NUMA node a claim wants its bytes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NumaWish {
    /// Wherever they fit best.
    #[default]
    Any,
    /// Only on this one.
    Node(NumaNode),
    /// On the same one as all other volumes of the pod that wish it, whichever that is.
    ///
    /// Which one it is can only be said of all claims of a pod at once: [`Node::settle`](crate::Node::settle) replaces
    /// this by one of the others. Of a claim alone it asks no more than [`Any`](Self::Any): a volume is never on two.
    Together,
}

impl NumaWish {
    /// Whether a region on `numa` will do for a volume alone.
    #[must_use]
    pub fn allows(self, numa: Option<NumaNode>) -> bool {
        match self {
            Self::Any | Self::Together => true,
            Self::Node(wished) => numa == Some(wished),
        }
    }
}

/// What one claim asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeRequest {
    /// Usable bytes that it needs at least.
    pub required: Bytes,
    /// Usable bytes that it may get at most.
    pub limit: Option<Bytes>,
    /// How the namespace presents them.
    pub mode: Mode,
    /// On which NUMA node.
    pub numa: NumaWish,
}
