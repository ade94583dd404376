//! Why a claim does not fit, with every number that a person would ask for.

use std::fmt;
use std::sync::Arc;

use crate::{Bytes, NumaNode};

/// The space of one region, as shown to somebody who got none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    #[error("asked {}; {}", Sum(required), Spaces(space))]
    NotTogether {
        /// Usable bytes asked for, claim by claim.
        required: Vec<Bytes>,
        /// The regions that could have held them.
        space: Vec<Space>,
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
}

/// The text of a [`Refusal`] in two shared parts: cheap to make for each of thousands of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What was asked, or the whole text.
    asked: Arc<str>,
    /// The space that there is.
    space: Option<Arc<str>>,
}

impl Reason {
    pub(crate) fn new(asked: Arc<str>, space: Arc<str>) -> Self {
        Self {
            asked,
            space: Some(space),
        }
    }
}

impl From<Refusal> for Reason {
    fn from(refusal: Refusal) -> Self {
        Self {
            asked: refusal.to_string().into(),
            space: None,
        }
    }
}

/// The same text as that of the [`Refusal`].
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.asked)?;
        match &self.space {
            Some(space) => write!(f, "; {space}"),
            None => Ok(()),
        }
    }
}

/// The first part of a [`Reason`].
pub(crate) fn asked(required: &[Bytes]) -> Arc<str> {
    format!("asked {}", Sum(required)).into()
}

/// The second part of a [`Reason`].
pub(crate) fn space_text(space: &[Space]) -> Arc<str> {
    Spaces(space).to_string().into()
}

fn on(numa: Option<NumaNode>) -> String {
    numa.map(|numa| format!(" on NUMA {numa}")).unwrap_or_default()
}

struct Spaces<'a>(&'a [Space]);

impl fmt::Display for Spaces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let free: Bytes = self.0.iter().map(|space| space.free).sum();
        let extents: usize = self.0.iter().map(|space| space.extents).sum();
        let Some(best) = self.0.iter().max_by_key(|space| space.largest) else {
            return f.write_str("no region");
        };
        let (largest, numa) = (best.largest, on(best.numa));
        write!(
            f,
            "largest extent {largest}{numa}, {free} free in {extents} extent{}",
            if extents == 1 { "" } else { "s" }
        )
    }
}

struct Sum<'a>(&'a [Bytes]);

impl fmt::Display for Sum<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(Bytes::to_string).collect();
        f.write_str(&all.join(" + "))
    }
}
