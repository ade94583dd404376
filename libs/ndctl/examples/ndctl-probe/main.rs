//! Tries the crate on a real kernel and prints what it sees, one JSON object a line.
//!
//! `list` and `reads` only look. The others need a region without namespaces, and leave it so.

mod erase;
mod holes;
mod inventory;
mod limits;
mod pieces;
mod reads;
mod sequences;
mod sizes;

use anyhow::{Result, bail};
use serde_json::Value;

const USAGE: &str = "usage: ndctl-probe list|reads | ndctl-probe sizes|holes|erase|limits REGION | ndctl-probe sequences REGION SEED STEPS";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["list"] => inventory::print(),
        ["reads"] => reads::measure(),
        ["sizes", region] => sizes::measure(region),
        ["holes", region] => holes::measure(region),
        ["erase", region] => erase::measure(region),
        ["limits", region] => limits::measure(region),
        ["sequences", region, seed, steps] => sequences::measure(region, seed.parse()?, steps.parse()?),
        _ => bail!("{USAGE}"),
    }
}

/// One line of output.
#[expect(clippy::needless_pass_by_value, reason = "called with json!(…)")]
fn print(line: Value) {
    println!("{line}");
}

/// An error with all its sources.
fn reasons(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
