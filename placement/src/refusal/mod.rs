//! Why claims do not fit, as data: every number that a person would ask for. The one place that renders it is `text.rs`.

mod explanation;
mod space;
mod text;

use std::fmt;

use crate::{Bytes, NumaNode};

pub use explanation::{Explanation, RefusalKind};
pub use space::{ReservedSpace, Space};
pub(crate) use text::AskedText;

/// Why a claim does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No namespace can be that large.
    BeyondAddressing {
        /// Usable bytes asked for.
        required: Bytes,
    },
    /// The smallest namespace that is large enough is larger than allowed.
    LimitTooLow {
        /// Usable bytes asked for.
        required: Bytes,
        /// Usable bytes allowed.
        limit: Bytes,
        /// Usable bytes of the smallest namespace that is large enough.
        usable: Bytes,
    },
    /// No region is ready, or none on the NUMA node that was asked for.
    NoRegion {
        /// Usable bytes asked for.
        required: Bytes,
        /// The NUMA node that was asked for.
        numa: Option<NumaNode>,
        /// Why the regions that are there are not ready.
        unready: Vec<String>,
    },
    /// No free extent is large enough.
    NoSpace {
        /// Usable bytes asked for.
        required: Bytes,
        /// The regions that could have held it, if they were free.
        space: Vec<Space>,
    },
    /// Each claim of the pod fits alone, but not all of them together, in every order of creation.
    NotTogether {
        /// Usable bytes asked for, claim by claim.
        required: Vec<Bytes>,
        /// How many of them have to be on one NUMA node; none if that restricts nothing.
        on_one_numa_node: usize,
        /// The regions that could have held them.
        space: Vec<Space>,
        /// Whether an order in which they fail was found. If not, there were too many to try, and they may fit.
        tried_all: bool,
    },
}

impl std::error::Error for Refusal {}

/// For people: short enough for the summary of kube-scheduler, with the numbers.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::RefusalText(self, &[]).fmt(f)
    }
}

impl Refusal {
    /// Whether the claim cannot fit on this node even when everything else on it is deleted, as far as one can tell.
    #[must_use]
    pub fn is_for_ever(&self) -> bool {
        match self {
            Self::BeyondAddressing { .. } | Self::LimitTooLow { .. } | Self::NoRegion { .. } => true,
            Self::NoSpace { .. } | Self::NotTogether { .. } => false,
        }
    }

    /// Usable bytes asked for, claim by claim.
    #[must_use]
    pub fn required(&self) -> Vec<Bytes> {
        match self {
            Self::BeyondAddressing { required }
            | Self::LimitTooLow { required, .. }
            | Self::NoRegion { required, .. }
            | Self::NoSpace { required, .. } => vec![*required],
            Self::NotTogether { required, .. } => required.clone(),
        }
    }

    /// The regions that could have held them; none if the reason is not that they are full.
    #[must_use]
    pub fn space(&self) -> &[Space] {
        match self {
            Self::BeyondAddressing { .. } | Self::LimitTooLow { .. } | Self::NoRegion { .. } => &[],
            Self::NoSpace { space, .. } | Self::NotTogether { space, .. } => space,
        }
    }

    pub(crate) fn on_one_numa_node(&self) -> usize {
        match self {
            Self::NotTogether { on_one_numa_node, .. } => *on_one_numa_node,
            Self::BeyondAddressing { .. } | Self::LimitTooLow { .. } | Self::NoRegion { .. } | Self::NoSpace { .. } => {
                0
            }
        }
    }
}
