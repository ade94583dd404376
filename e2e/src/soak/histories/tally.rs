//! How much histories have been through.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::outcome::Outcome;
use crate::soak::totals::Total;

/// How much histories have been through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    /// How long that took.
    #[serde(default)]
    seconds: u64,
    histories: u64,
    events: u64,
    reads: u64,
    /// By kind.
    faults: BTreeMap<String, u64>,
    /// Places in our programs that were reached.
    reached: BTreeSet<String>,
    /// The seeds that failed, by the invariant that broke.
    pub(super) failed: BTreeMap<String, Vec<u64>>,
}

impl Total for Tally {
    const FILE: &'static str = "soak-histories.json";
}

impl Tally {
    pub(super) fn took(&mut self, time: Duration) {
        self.seconds += time.as_secs();
    }

    pub(super) fn add(&mut self, seed: u64, outcome: Outcome) {
        self.histories += 1;
        self.events += outcome.events;
        self.reads += outcome.reads;
        if let Some(invariant) = outcome.invariant() {
            self.failed.entry(invariant.to_owned()).or_default().push(seed);
        }
        for (kind, count) in outcome.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        self.reached.extend(outcome.reached);
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, more: Self) {
        self.seconds += more.seconds;
        self.histories += more.histories;
        self.events += more.events;
        self.reads += more.reads;
        for (kind, count) in more.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        self.reached.extend(more.reached);
        for (invariant, seeds) in more.failed {
            self.failed.entry(invariant).or_default().extend(seeds);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed: usize = self.failed.values().map(Vec::len).sum();
        write!(
            f,
            "{} minutes, {} histories, {} events, {} reads by pods, {} places reached, {failed} failed; faults: ",
            self.seconds / 60,
            self.histories,
            self.events,
            self.reads,
            self.reached.len()
        )?;
        let faults: Vec<String> = self
            .faults
            .iter()
            .map(|(kind, count)| format!("{kind} {count}"))
            .collect();
        f.write_str(&faults.join(", "))
    }
}
