//! Histories of the whole system in one process: each is lived through by a process of the crate `simulation`, which is told its
//! seed and says what became of it.
//!
//! What is simulated and what has to hold: `docs/simulation.md`.

mod outcome;
pub(crate) mod put_back;
mod shrink;
mod simulation;
mod tally;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use futures::{StreamExt, stream};

use simulation::Simulation;
use tally::Tally;

use super::totals;

/// How long `cargo verify` lives through histories that nobody has seen before.
const FRESH: Duration = Duration::from_secs(120);
/// After how long what was found is added to the counts of all runs, which a run that is killed then does not lose.
const STRETCH: Duration = Duration::from_secs(600);
/// The histories that `cargo verify` always lives through, beside those that found something.
const FIXED: std::ops::Range<u64> = 1..251;
/// Seeds that found something once, one in a line; what stands after it is for people.
const SEEDS: &str = include_str!("../../../../simulation/seeds.txt");

/// Lives through histories that nobody has seen before until the time is over. Those of an earlier run again with its first
/// seed.
pub(crate) async fn soak(first: Option<u64>, time: Duration) -> Result<()> {
    let simulation = Simulation::build().await?;
    soak_from(&simulation, first.unwrap_or_else(seed_of_now), time).await
}

/// A fixed set of histories, and fresh ones for a while. What fresh ones find is printed, and no fault of the change that is
/// verified: it was there before.
pub(crate) async fn verify() -> Result<()> {
    let simulation = Simulation::build().await?;
    check_repeatable(&simulation).await?;
    let seeds: Vec<u64> = known_seeds().chain(FIXED).collect();
    let fixed = live_through(&simulation, seeds, None).await?;
    let outcome = report(&simulation, &fixed).await;
    if let Err(error) = soak_from(&simulation, seed_of_now(), FRESH).await {
        eprintln!("  NEW DEFECTS, of histories that nobody has seen before: {error:#}");
    }
    outcome
}

/// The histories that found something once.
fn known_seeds() -> impl Iterator<Item = u64> {
    SEEDS
        .lines()
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
}

async fn soak_from(simulation: &Simulation, first: u64, time: Duration) -> Result<()> {
    println!("  histories from seed {first} on");
    let end = Instant::now() + time;
    let mut seeds = first..;
    let mut tally = Tally::default();
    while Instant::now() < end {
        let stretch = live_through(simulation, seeds.by_ref(), Some(end.min(Instant::now() + STRETCH))).await?;
        let all = totals::add(stretch.clone())?;
        println!("  in all runs: {all}");
        for (invariant, seeds) in &stretch.failed {
            println!("  FAILED: {invariant}: seeds {seeds:?}");
        }
        tally += stretch;
    }
    report(simulation, &tally).await
}

/// Lives through the histories of `seeds`, as many at a time as there are processors.
async fn live_through(
    simulation: &Simulation,
    seeds: impl IntoIterator<Item = u64>,
    until: Option<Instant>,
) -> Result<Tally> {
    let begun = Instant::now();
    let is_time = || until.is_none_or(|until| Instant::now() < until);
    let mut seeds = seeds.into_iter();
    let next = std::iter::from_fn(|| is_time().then(|| seeds.next()).flatten());
    let lives =
        stream::iter(next).map(|seed| async move { Ok::<_, anyhow::Error>((seed, simulation.live(seed, &[]).await?)) });
    let mut lives = lives.buffer_unordered(at_a_time());
    let mut tally = Tally::default();
    while let Some(lived) = lives.next().await {
        let (seed, outcome) = lived?;
        tally.add(seed, outcome);
    }
    tally.took(begun.elapsed());
    Ok(tally)
}

/// As many as there are processors: a history is one thread.
fn at_a_time() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The counts, and each history that failed, as small as it gets.
async fn report(simulation: &Simulation, tally: &Tally) -> Result<()> {
    println!("  {tally}");
    for (invariant, seeds) in &tally.failed {
        println!("  FAILED: {invariant}: {} histories, seeds {seeds:?}", seeds.len());
        let Some(seed) = seeds.first() else { continue };
        let left_out = shrink::shrink(simulation, *seed).await?;
        println!("{}", simulation.print(*seed, &left_out).await?);
    }
    ensure!(tally.failed.is_empty(), "{} invariants do not hold", tally.failed.len());
    Ok(())
}

/// A history that goes another way the next time could not be looked into.
async fn check_repeatable(simulation: &Simulation) -> Result<()> {
    for seed in 1..=8 {
        let (one, other) = (simulation.live(seed, &[]).await?, simulation.live(seed, &[]).await?);
        let is_same = one.fingerprint == other.fingerprint;
        ensure!(is_same, "the history of seed {seed} went another way the second time");
    }
    Ok(())
}

/// Another one each time, with room for millions of histories until the next.
fn seed_of_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs() * 10_000_000
}
