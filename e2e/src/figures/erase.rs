//! What it costs to make a volume on bytes that are known to be zero, and how fast volumes are erased, on a real kernel.
//! `zero-space` of the node driver measures; here it becomes figures.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::figure::Figure;
use crate::harness::programs::ZERO_SPACE;
use crate::harness::progress::step;
use crate::harness::test_vm::Machines;
use crate::harness::vm::Machine;

/// "create <= 1.2 x the bare libndctl calls"
const CREATE_GOAL: f64 = 1.2;
/// "erase >= 90% of the device's streaming speed in the same run"
const ERASE_GOAL: f64 = 0.9;
/// "a create beside an erase <= 1.5 x idle"
const BESIDE_GOAL: f64 = 1.5;
const MEASURE: &str = "mkdir -p /run/known && /mnt/files/zero-space --folder /run/known";

pub(super) async fn measure() -> Result<Vec<Figure>> {
    let machines = Machines::with(&[ZERO_SPACE]).await?;
    let vm = machines.start(Machine::light("figures-erase")).await?;
    let printed = step("making and erasing volumes", vm.shell(MEASURE)).await?;
    let measured = serde_json::from_str(&printed).with_context(|| format!("nothing that was measured: {printed}"))?;
    figures(&measured)
}

fn figures(measured: &BTreeMap<String, Vec<f64>>) -> Result<Vec<Figure>> {
    let median = |name: &str| median(measured.get(name)?);
    let of = |name: &str| median(name).with_context(|| format!("{name} was not measured"));
    let mut figures = Vec::new();
    for size in ["16", "256", "whole"] {
        let bare = of(&format!("bare_{size}"))?;
        figures.push(Figure::new(&format!("erase_bare_{size}"), bare, "ms"));
        for what in ["known", "unknown"] {
            let made = of(&format!("{what}_{size}"))?;
            figures.push(Figure::new(&format!("erase_make_{what}_{size}"), made, "ms"));
            let ratio = Figure::new(&format!("erase_make_{what}_{size}_ratio"), made / bare, "ratio");
            figures.push(if what == "known" {
                ratio.at_most(CREATE_GOAL)
            } else {
                ratio
            });
        }
        let (streamed, erased) = (of(&format!("streamed_{size}"))?, of(&format!("erased_{size}"))?);
        figures.push(Figure::new(&format!("erase_speed_{size}"), erased, "MiB/s"));
        let ratio = Figure::new(&format!("erase_speed_{size}_ratio"), erased / streamed, "ratio");
        figures.push(ratio.at_least(ERASE_GOAL));
    }
    let ratio = of("make_beside")? / of("make_idle")?;
    figures.push(Figure::new("erase_make_beside_ratio", ratio, "ratio").at_most(BESIDE_GOAL));
    Ok(figures)
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_compared_with_what_needs_no_driver() {
        let mut measured = BTreeMap::new();
        for size in ["16", "256", "whole"] {
            for (name, values) in [
                ("bare", [10.0, 12.0, 11.0]),
                ("known", [22.0, 1.0, 99.0]),
                ("unknown", [44.0; 3]),
                ("streamed", [100.0; 3]),
                ("erased", [80.0; 3]),
            ] {
                measured.insert(format!("{name}_{size}"), values.to_vec());
            }
        }
        measured.insert("make_idle".into(), vec![10.0]);
        assert!(figures(&measured).is_err());
        measured.insert("make_beside".into(), vec![14.0]);
        let shown: Vec<String> = figures(&measured).unwrap().iter().map(Figure::shown).collect();
        assert_eq!(
            shown[..7],
            [
                "figure erase_bare_16 11 ms",
                "figure erase_make_known_16 22 ms",
                "figure erase_make_known_16_ratio 2 ratio goal <= 1.2 short",
                "figure erase_make_unknown_16 44 ms",
                "figure erase_make_unknown_16_ratio 4 ratio",
                "figure erase_speed_16 80 MiB/s",
                "figure erase_speed_16_ratio 0.8 ratio goal >= 0.9 short",
            ]
        );
        assert_eq!(
            shown.last().unwrap(),
            "figure erase_make_beside_ratio 1.4 ratio goal <= 1.5 met"
        );
    }
}
