//! Crash point against outcome.

use std::collections::BTreeMap;
use std::fmt;

use super::crash_points::CrashPoint;
use super::ending::{Ending, Fault};
use super::finding::Harm;

/// What became of an interruption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// Nothing was left to do.
    ByItself,
    /// Asked again, the program did the rest.
    ByRepeating,
    /// It did harm.
    Harm(Harm),
}

const OUTCOMES: [Outcome; 6] = [
    Outcome::ByItself,
    Outcome::ByRepeating,
    Outcome::Harm(Harm::Lost),
    Outcome::Harm(Harm::Shown),
    Outcome::Harm(Harm::Leaked),
    Outcome::Harm(Harm::Stuck),
];

/// How often each outcome was had at each crash point.
#[derive(Debug, Default)]
pub(super) struct Matrix(BTreeMap<CrashPoint, Row>);

#[derive(Debug, Default)]
struct Row {
    faults: BTreeMap<Fault, u64>,
    outcomes: BTreeMap<Outcome, u64>,
}

impl Matrix {
    /// Counts what became of an interruption.
    pub(super) fn count(&mut self, ending: &Ending, outcome: Outcome) {
        let row = self.0.entry(ending.point.clone()).or_default();
        *row.faults.entry(ending.fault).or_default() += 1;
        *row.outcomes.entry(outcome).or_default() += 1;
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByItself => f.pad("by itself"),
            Self::ByRepeating => f.pad("by repeating"),
            Self::Harm(harm) => harm.fmt(f),
        }
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<9}  {:<14} {:>8} {:>9}  ",
            "part",
            "crash point",
            Fault::Kill,
            Fault::PowerCut
        )?;
        for outcome in OUTCOMES {
            write!(f, " {outcome:>12}")?;
        }
        writeln!(f)?;
        self.0.iter().try_for_each(|(point, row)| row.write(f, point))
    }
}

impl Row {
    fn write(&self, f: &mut fmt::Formatter<'_>, CrashPoint { part, effect }: &CrashPoint) -> fmt::Result {
        let faults = |fault| self.faults.get(&fault).copied().unwrap_or_default();
        write!(
            f,
            "{part:<9}  {effect:<14} {:>8} {:>9}  ",
            faults(Fault::Kill),
            faults(Fault::PowerCut)
        )?;
        for outcome in OUTCOMES {
            write!(f, " {:>12}", self.outcomes.get(&outcome).copied().unwrap_or_default())?;
        }
        writeln!(f)
    }
}
