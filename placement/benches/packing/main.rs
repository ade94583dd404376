//! How full a cluster gets before a claim fails, under our policies and others: `cargo bench -p placement --bench packing`.
//!
//! Prints one line per figure, `figure NAME VALUE UNIT goal OP VALUE met|short`, and a table. The traces are the same on
//! every machine and for every policy.

mod cluster;
mod policy;
mod random;
mod trace;

use placement::Policy;
use policy::Chooser;
use trace::{Load, Outcome};

/// Traces per row: the mean is shown.
const SEEDS: u64 = 16;
/// The largest claim as a share of a region, its name, and the share that is to be reached after churn.
const CAPS: [(f64, &str, f64); 3] = [(0.25, "quarter", 0.985), (0.5, "half", 0.93), (1.0, "whole", 0.86)];
/// The share that is to be reached without churn.
const WITHOUT_CHURN: f64 = 0.997;

fn main() -> anyhow::Result<()> {
    println!(
        "{} nodes × {} regions of {} GiB; lognormal claims, median 1/8 of the largest; {SEEDS} traces;",
        cluster::NODES,
        cluster::REGIONS,
        cluster::REGION_GIB
    );
    println!(
        "churn: {} turnovers at {:.0}% fill\n",
        trace::TURNOVER,
        trace::FILL * 100.0
    );
    println!(
        "| largest claim | policy | without churn | with churn | refused of 10,000 | fragmentation after 1 | after {} |",
        trace::TURNOVER
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let mut figures = Vec::new();
    for (cap, name, goal) in CAPS {
        for chooser in policy::ALL {
            let mean = mean_of(|load| trace::replay(chooser, load), cap)?;
            row(name, &chooser.to_string(), mean);
            if chooser == Chooser::Ours(Policy::Pack) {
                figures.push((format!("packing_{name}"), mean.without_churn, WITHOUT_CHURN));
                figures.push((format!("packing_{name}_churn"), mean.with_churn, goal));
            }
        }
        let bound = mean_of(|load| Ok(trace::bound(load)), cap)?;
        println!(
            "| {name} | bound | {:.4} | {:.4} | | | |",
            bound.without_churn, bound.with_churn
        );
    }
    println!();
    for (name, value, goal) in figures {
        let met = if value >= goal { "met" } else { "short" };
        println!("figure {name} {value:.4} share goal >= {goal} {met}");
    }
    Ok(())
}

fn row(cap: &str, policy: &str, mean: Outcome) {
    let [early, late] = mean.fragmentation;
    println!(
        "| {cap} | {policy} | {:.4} | {:.4} | {:.1} | {early:.3} | {late:.3} |",
        mean.without_churn,
        mean.with_churn,
        mean.refused * 10_000.0
    );
}

/// The mean over all seeds, two at a time.
fn mean_of(replay: impl Fn(Load) -> anyhow::Result<Outcome> + Sync, cap: f64) -> anyhow::Result<Outcome> {
    let replay = &replay;
    let half = |first: u64| {
        move || {
            (first..SEEDS)
                .step_by(2)
                .map(|seed| replay(Load { cap, seed }))
                .collect()
        }
    };
    let outcomes: Vec<anyhow::Result<Outcome>> = std::thread::scope(|scope| {
        let halves = [0, 1].map(|first| scope.spawn(half(first)));
        halves.into_iter().flat_map(|half| joined(half.join())).collect()
    });
    let outcomes = outcomes.into_iter().collect::<anyhow::Result<Vec<Outcome>>>()?;
    let mean = |of: fn(&Outcome) -> f64| outcomes.iter().map(of).sum::<f64>() / f64::from(count(outcomes.len()));
    Ok(Outcome {
        without_churn: mean(|outcome| outcome.without_churn),
        with_churn: mean(|outcome| outcome.with_churn),
        refused: mean(|outcome| outcome.refused),
        fragmentation: [
            mean(|outcome| outcome.fragmentation[0]),
            mean(|outcome| outcome.fragmentation[1]),
        ],
    })
}

fn joined(half: std::thread::Result<Vec<anyhow::Result<Outcome>>>) -> Vec<anyhow::Result<Outcome>> {
    half.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
