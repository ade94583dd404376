//! What the simulation says of a history.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// What became of a history.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Outcome {
    /// What did not hold.
    pub(super) broken: Vec<Broken>,
    /// The numbers of the steps that happened.
    pub(super) steps: Vec<usize>,
    pub(super) events: u64,
    /// By kind.
    pub(super) faults: BTreeMap<String, u64>,
    /// How often pods read what was written.
    pub(super) reads: u64,
    /// The places in our programs that were reached.
    pub(super) reached: BTreeSet<String>,
    /// Differs if anything went another way.
    pub(super) fingerprint: u64,
}

/// What did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Broken {
    pub(super) invariant: String,
}

impl Outcome {
    /// A history that has none: the simulation died of it, or hangs.
    pub(super) fn of_none(invariant: &str) -> Self {
        let invariant = invariant.to_owned();
        Self {
            broken: vec![Broken { invariant }],
            ..Self::default()
        }
    }

    /// The first invariant that does not hold, if any.
    pub(super) fn invariant(&self) -> Option<&str> {
        self.broken.first().map(|broken| &*broken.invariant)
    }
}
