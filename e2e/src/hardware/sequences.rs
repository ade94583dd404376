//! `placement` against the kernel: random creates and deletes, each predicted before the kernel is asked.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::group::{Group, case};
use super::ndctl::probe;
use crate::harness::programs::NDCTL_PROBE;
use crate::harness::test_vm::TestVm;
use crate::harness::vm::Machine;

/// Two regions with sequences of their own; each is played at two alignments, alone and beside two kinds of neighbours.
const SEEDS: [(&str, u64); 2] = [("region0", 1), ("region1", 2)];
const STEPS: usize = 60;
const SETTINGS: usize = 6;

pub(super) fn group() -> Group {
    Group {
        name: "sequences",
        machine: || Machine::light("sequences"),
        programs: &[NDCTL_PROBE],
        cases: vec![case!(placement_predicts_every_step)],
    }
}

async fn placement_predicts_every_step(vm: &mut TestVm) -> Result<()> {
    let mut lines = Vec::new();
    for (region, seed) in SEEDS {
        lines.extend(probe(vm, &format!("sequences {region} {seed} {STEPS}")).await?);
    }
    ensure!(
        lines.len() > SEEDS.len() * SETTINGS * STEPS,
        "only {} steps",
        lines.len()
    );
    for (at, line) in lines.iter().enumerate() {
        ensure!(agree(line), "step {at}: {line}");
    }
    let count = |is: fn(&Value) -> bool| lines.iter().filter(|line| is(line)).count();
    let refused = count(|line| line["seen"]["refused"] == true);
    let made = count(|line| line["seen"]["usable"].is_number());
    let deleted = count(|line| line["did"] == "delete");
    let odd = count(|line| withheld(line) > 0);
    let spared = count(|line| line["predicted"]["refused"] == true && line["seen"]["usable"].is_number());
    println!(
        "  {made} namespaces where and as large as predicted, {refused} refusals, {deleted} deletes; {odd} steps where the \
         kernel withheld something, {spared} of them refused by us alone"
    );
    ensure!(
        made > 150 && refused > 60 && deleted == made && odd > 100,
        "too few of a kind"
    );
    ensure!(spared <= odd / 10, "we refuse too much");
    Ok(())
}

fn withheld(line: &Value) -> i64 {
    line["withheld"].as_i64().unwrap_or_default()
}

/// A refusal is predicted as such; all else by numbers. What the kernel withholds is taken off the highest hole, so that what
/// would have taken all of that is refused, and nothing is promised that the kernel refuses.
fn agree(line: &Value) -> bool {
    let (predicted, seen) = (&line["predicted"], &line["seen"]);
    match (predicted["refused"] == true, seen["refused"] == true) {
        (true, true) => true,
        (true, false) => withheld(line) > 0,
        (false, false) => predicted == seen && !seen.is_null(),
        _ => false,
    }
}
