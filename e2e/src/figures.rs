//! `cargo figures`: the benchmarks, one line for each figure.
//!
//! `figure NAME VALUE UNIT goal OP VALUE met|short`, or without the goal where there is none to reach. A figure that falls short is no failure; a benchmark that cannot run is.

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use serde::Serialize;
use tokio::process::Command;

use crate::{command, packages};

/// What to measure; everything unless told otherwise.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Run only these benchmarks
    #[arg(value_enum, value_name = "NAME")]
    names: Vec<Benchmark>,
    /// Print one JSON object for each figure instead
    #[arg(long)]
    json: bool,
}

/// A group of figures that one program measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Benchmark {
    /// The extender over TLS: filter and prioritize with 5,000 names and 50,000 volumes
    Extender,
    /// How full a cluster gets before a claim fails, under our policies and others
    Packing,
}

/// One figure.
#[derive(Debug, PartialEq, Serialize)]
struct Figure {
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

impl Benchmark {
    /// The crate and its benchmark.
    fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::Extender => ("daxfit-extender", "figures"),
            Self::Packing => ("placement", "packing"),
        }
    }

    async fn measure(self) -> Result<Vec<Figure>> {
        let (package, bench) = self.program();
        eprintln!("measuring {package} …");
        let mut cargo = Command::new("cargo");
        cargo.args(["bench", "--quiet", "--package", package, "--bench", bench]);
        let printed = command::capture(cargo).await?;
        let lines: Vec<&str> = printed.lines().filter(|line| line.starts_with("figure ")).collect();
        ensure!(
            !lines.is_empty(),
            "the benchmark of {package} printed no figure:\n{printed}"
        );
        lines.into_iter().map(Figure::read).collect()
    }
}

impl Figure {
    fn read(line: &str) -> Result<Self> {
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

    fn shown(&self) -> String {
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

/// Runs the chosen benchmarks and prints their figures.
///
/// # Errors
/// A benchmark does not run, or prints something else.
pub(crate) async fn run(options: Options) -> Result<()> {
    packages::ensure_all().await?;
    let all = Benchmark::value_variants();
    let chosen = if options.names.is_empty() { all } else { &options.names };
    for benchmark in chosen {
        for figure in benchmark.measure().await? {
            let line = if options.json {
                serde_json::to_string(&figure)?
            } else {
                figure.shown()
            };
            println!("{line}");
        }
    }
    Ok(())
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
}
