//! How long `NodeStageVolume` takes on a real kernel, with nothing beside it and beside others. `stage-beside` of the node driver
//! measures; here it becomes figures.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::figures::figure::Figure;
use crate::harness::programs::STAGE_BESIDE;
use crate::harness::progress::step;
use crate::harness::test_vm::Machines;
use crate::harness::vm::Machine;

/// With nothing beside it, in what the program prints.
const ALONE: &str = "nothing";
/// "stage p50 and p99 of one volume beside others: ratio <= 1.5"
const GOAL: f64 = 1.5;
/// Thirty times as many ask: something may depend on their number, but not all.
const ASK_GOAL: f64 = 5.0;
const MEASURE: &str = "mkdir -p /run/staged && /mnt/files/stage-beside --directory /run/staged";

pub(super) async fn measure() -> Result<Vec<Figure>> {
    let machines = Machines::with(&[STAGE_BESIDE]).await?;
    let vm = machines.start(Machine::light("figures-node")).await?;
    let printed = step("staging a volume beside others", vm.shell(MEASURE)).await?;
    let times = serde_json::from_str(&printed).with_context(|| format!("not times: {printed}"))?;
    figures(times)
}

/// `times` are milliseconds, by what went on meanwhile.
fn figures(mut times: BTreeMap<String, Vec<f64>>) -> Result<Vec<Figure>> {
    let alone = Percentiles::of(&times.remove(ALONE).unwrap_or_default()).context("nothing was measured")?;
    let mut figures = alone.figures("node_stage_alone");
    figures.extend(asking(&mut times));
    for (beside, times) in &times {
        let others = Percentiles::of(times).context("nothing was measured")?;
        let name = format!("node_stage_beside_{beside}");
        figures.extend(others.figures(&name));
        figures.extend(others.ratios(&name, &alone));
    }
    Ok(figures)
}

/// What it costs one of many to ask whether it has to wait, against one of few. If each had to be planned for each of the others,
/// it would grow with their number.
fn asking(times: &mut BTreeMap<String, Vec<f64>>) -> Option<Figure> {
    let mut half = |of: &str| Some(Percentiles::of(&times.remove(of)?)?.p50);
    let (few, many) = (half("ask_10")?, half("ask_300")?);
    Some(Figure::new("node_ask_300_ratio", many / few, "ratio").at_most(ASK_GOAL))
}

struct Percentiles {
    p50: f64,
    p99: f64,
}

impl Percentiles {
    fn of(times: &[f64]) -> Option<Self> {
        let mut sorted = times.to_vec();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        let at = |percent: usize| sorted.get((last * percent).div_ceil(100)).copied();
        Some(Self {
            p50: at(50)?,
            p99: at(99)?,
        })
    }

    fn figures(&self, name: &str) -> Vec<Figure> {
        let figure = |percentile: &str, value: f64| Figure::new(&format!("{name}_{percentile}"), value, "ms");
        vec![figure("p50", self.p50), figure("p99", self.p99)]
    }

    fn ratios(&self, name: &str, alone: &Self) -> Vec<Figure> {
        let figure = |percentile: &str, value: f64| {
            Figure::new(&format!("{name}_{percentile}_ratio"), value, "ratio").at_most(GOAL)
        };
        vec![figure("p50", self.p50 / alone.p50), figure("p99", self.p99 / alone.p99)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_compared_with_what_is_alone() {
        let times = [
            (ALONE, vec![10.0, 12.0, 11.0]),
            ("erasure", vec![11.0, 30.0, 12.0]),
            ("ask_10", vec![0.25]),
            ("ask_300", vec![0.5]),
        ];
        let times = times
            .into_iter()
            .map(|(name, times)| (name.to_owned(), times))
            .collect();
        let shown: Vec<String> = figures(times).unwrap().iter().map(Figure::shown).collect();
        assert_eq!(
            shown,
            [
                "figure node_stage_alone_p50 11 ms",
                "figure node_stage_alone_p99 12 ms",
                "figure node_ask_300_ratio 2 ratio goal <= 5 met",
                "figure node_stage_beside_erasure_p50 12 ms",
                "figure node_stage_beside_erasure_p99 30 ms",
                "figure node_stage_beside_erasure_p50_ratio 1.091 ratio goal <= 1.5 met",
                "figure node_stage_beside_erasure_p99_ratio 2.5 ratio goal <= 1.5 short",
            ]
        );
        assert!(figures(BTreeMap::new()).is_err());
    }
}
