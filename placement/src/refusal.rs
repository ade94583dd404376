//! Why a claim does not fit, with every number that a person would ask for.

use std::fmt;

use serde::Serialize;

use crate::{Bytes, NumaNode};

/// The space of one region, as shown to somebody who got none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Space {
    /// Where it is, if the platform says.
    pub numa: Option<NumaNode>,
    /// Usable bytes of the largest namespace that can be made there now.
    pub largest: Bytes,
    /// Raw free bytes.
    pub free: Bytes,
    /// In how many extents they are.
    pub extents: usize,
}

/// Why a claim does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No namespace can be that large.
    #[error("asked {required}: no namespace can be that large")]
    BeyondAddressing {
        /// Usable bytes asked for.
        required: Bytes,
    },
    /// The smallest namespace that is large enough is larger than allowed.
    #[error(
        "asked {required} to {limit}, but the smallest namespace with {required} has {usable}: raise the limit to {usable}"
    )]
    LimitTooLow {
        /// Usable bytes asked for.
        required: Bytes,
        /// Usable bytes allowed.
        limit: Bytes,
        /// Usable bytes of the smallest namespace that is large enough.
        usable: Bytes,
    },
    /// There is no region to ask: none is ready, or none on the NUMA node that was asked for.
    #[error("asked {required}: no ready region{}", on(*numa))]
    NoRegion {
        /// Usable bytes asked for.
        required: Bytes,
        /// The NUMA node that was asked for.
        numa: Option<NumaNode>,
    },
    /// No free extent is large enough.
    #[error("asked {required}; {}", Spaces(space))]
    NoSpace {
        /// Usable bytes asked for.
        required: Bytes,
        /// The regions that could have held it, if they were free.
        space: Vec<Space>,
    },
    /// Each claim of the pod fits alone, but not all of them together, in every order of creation.
    #[error("{}; {}{}", Asked(required, *on_one_numa_node), Spaces(space), untried(*tried_all))]
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

fn on(numa: Option<NumaNode>) -> String {
    numa.map(|numa| format!(" on NUMA {numa}")).unwrap_or_default()
}

/// What follows the numbers of claims that may well fit together.
pub(crate) fn untried(tried_all: bool) -> &'static str {
    if tried_all {
        ""
    } else {
        "; too many orders of creation to try"
    }
}

/// "largest extent 64 MiB on NUMA 1, 180 MiB free in 4 extents"
pub(crate) struct Spaces<'a>(pub(crate) &'a [Space]);

impl<'a> Spaces<'a> {
    pub(crate) fn best(&self) -> Option<&'a Space> {
        self.0.iter().max_by_key(|space| space.largest)
    }

    pub(crate) fn free(&self) -> Bytes {
        self.0.iter().map(|space| space.free).sum()
    }

    pub(crate) fn extents(&self) -> usize {
        self.0.iter().map(|space| space.extents).sum()
    }
}

impl fmt::Display for Spaces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(best) = self.best() else {
            return f.write_str("no region");
        };
        let (largest, numa) = (best.largest, on(best.numa));
        let (free, extents) = (self.free(), self.extents());
        let s = if extents == 1 { "" } else { "s" };
        write!(f, "largest extent {largest}{numa}, {free} free in {extents} extent{s}")
    }
}

/// Of more claims than this only the first are named: the text goes into kube-scheduler's summary.
const MOST_SHOWN: usize = 4;

/// "asked 28 MiB + 14 MiB", of which so many on one NUMA node.
pub(crate) struct Asked<'a>(pub(crate) &'a [Bytes], pub(crate) usize);

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(required, on_one_numa_node) = self;
        let shown = if required.len() > MOST_SHOWN {
            MOST_SHOWN - 1
        } else {
            required.len()
        };
        let sizes: Vec<String> = required[..shown].iter().map(Bytes::to_string).collect();
        write!(f, "asked {}", sizes.join(" + "))?;
        if shown < required.len() {
            let sum: Bytes = required.iter().copied().sum();
            write!(f, " + {} more, {sum} in all", required.len() - shown)?;
        }
        match *on_one_numa_node {
            0 => Ok(()),
            n if n == required.len() => f.write_str(" on one NUMA node"),
            n => write!(f, ", {n} of them on one NUMA node"),
        }
    }
}
