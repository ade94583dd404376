//! One figure, and how it is written.

use anyhow::{Context, Result, bail};
use serde::Serialize;

/// One figure.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Figure {
    name: String,
    value: f64,
    unit: String,
    goal: Option<Goal>,
}

/// What a figure should be, such as `<= 1`.
#[derive(Debug, PartialEq, Serialize)]
struct Goal {
    operator: String,
    value: String,
    met: bool,
}

impl Figure {
    /// A figure without a goal, to the thousandth.
    pub(super) fn new(name: &str, value: f64, unit: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: (value * 1000.0).round() / 1000.0,
            unit: unit.to_owned(),
            goal: None,
        }
    }

    /// The same, to be `most` or less.
    pub(super) fn at_most(self, most: f64) -> Self {
        let met = self.value <= most;
        self.with_goal("<=", most, met)
    }

    /// The same, to be `least` or more.
    pub(super) fn at_least(self, least: f64) -> Self {
        let met = self.value >= least;
        self.with_goal(">=", least, met)
    }

    fn with_goal(mut self, operator: &str, value: f64, met: bool) -> Self {
        self.goal = Some(Goal {
            operator: operator.to_owned(),
            value: value.to_string(),
            met,
        });
        self
    }

    /// Reads a line that a benchmark printed.
    pub(super) fn read(line: &str) -> Result<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["figure", name, value, unit, ref goal @ ..] = words[..] else {
            bail!("not a figure: {line:?}");
        };
        Ok(Self {
            name: name.to_owned(),
            value: value.parse().with_context(|| format!("no value in {line:?}"))?,
            unit: unit.to_owned(),
            goal: Goal::read(goal).with_context(|| format!("not a figure: {line:?}"))?,
        })
    }

    /// The line for it.
    pub(super) fn shown(&self) -> String {
        let goal = self.goal.as_ref().map(Goal::shown).unwrap_or_default();
        format!("figure {} {} {}{goal}", self.name, self.value, self.unit)
    }
}

impl Goal {
    fn read(words: &[&str]) -> Result<Option<Self>> {
        match *words {
            [] => Ok(None),
            ["goal", operator, value, outcome @ ("met" | "short")] => Ok(Some(Self {
                operator: operator.to_owned(),
                value: value.to_owned(),
                met: outcome == "met",
            })),
            _ => bail!("not a goal: {words:?}"),
        }
    }

    fn shown(&self) -> String {
        let outcome = if self.met { "met" } else { "short" };
        format!(" goal {} {} {outcome}", self.operator, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_and_shown_again() {
        for line in ["figure filter_p99 0.82 ms goal <= 1 met", "figure filter_p50 0.4 ms"] {
            assert_eq!(Figure::read(line).unwrap().shown(), line);
        }
        for line in ["figure x", "figure x 1 ms goal", "figure x 1 ms goal <= 1 perhaps"] {
            assert!(Figure::read(line).is_err(), "{line}");
        }
    }

    #[test]
    fn goals_are_judged() {
        let shown = |figure: Figure| figure.shown();
        assert_eq!(
            shown(Figure::new("a", 0.0, "calls").at_most(0.0)),
            "figure a 0 calls goal <= 0 met"
        );
        assert_eq!(
            shown(Figure::new("a", 0.94, "ratio").at_least(0.95)),
            "figure a 0.94 ratio goal >= 0.95 short"
        );
        assert_eq!(shown(Figure::new("a", 1.0 / 3.0, "s")), "figure a 0.333 s");
    }
}
