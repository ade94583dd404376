//! Runs histories, and prints what fails.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use simulation::history::{History, Outcome};
use simulation::shrink::shrink;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// The whole system in one process under one seed, with every fault that the world has.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lives through one history, twice, and prints it.
    Replay {
        /// Its seed.
        seed: u64,
        /// Makes it smaller first if it fails.
        #[arg(long)]
        shrink: bool,
    },
    /// Lives through many.
    Soak {
        /// The first seed; without it, they come from the clock.
        #[arg(long)]
        seed: Option<u64>,
        /// How many.
        #[arg(long)]
        histories: Option<u64>,
        /// For how long.
        #[arg(long)]
        minutes: Option<u64>,
    },
}

fn main() -> anyhow::Result<()> {
    // The programs report each failure that the simulation makes: only who looks into a history wants that.
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::OFF.into()).from_env_lossy();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).without_time().with_writer(std::io::stderr).init();
    match Args::parse().command {
        Command::Replay { seed, shrink } => replay(seed, shrink),
        Command::Soak { seed, histories, minutes } => soak(seed, histories, minutes),
    }
}

fn replay(seed: u64, smaller: bool) -> anyhow::Result<()> {
    let mut history = History::of(seed);
    let mut outcome = history.run()?;
    if smaller && !outcome.broken.is_empty() {
        (history, outcome) = shrink(&history, outcome, 400)?;
    }
    let again = history.run()?;
    print(&history, &outcome);
    anyhow::ensure!(
        again.fingerprint == outcome.fingerprint,
        "the second run went another way: {} and {} events",
        outcome.events,
        again.events
    );
    anyhow::ensure!(outcome.broken.is_empty(), "failed");
    Ok(())
}

fn print(history: &History, outcome: &Outcome) {
    println!("seed {}, {} nodes", history.seed, history.nodes);
    for step in &history.steps {
        println!("  {step}");
    }
    println!("{} events, {} reads, {:?} of simulated time", outcome.events, outcome.reads, outcome.time);
    for (name, wrong) in &outcome.broken {
        println!("BROKEN: {name}");
        for wrong in wrong {
            println!("  {wrong}");
        }
    }
}

fn soak(seed: Option<u64>, histories: Option<u64>, minutes: Option<u64>) -> anyhow::Result<()> {
    let first = seed.unwrap_or_else(|| fastrand::u64(..1 << 48));
    let until = minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
    let began = Instant::now();
    let (mut done, mut events, mut reads) = (0, 0, 0);
    let mut faults: BTreeMap<String, u64> = BTreeMap::new();
    let mut failures: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for seed in first.. {
        if histories.is_some_and(|most| done >= most) || until.is_some_and(|until| Instant::now() >= until) {
            break;
        }
        let outcome = History::of(seed).run()?;
        done += 1;
        events += outcome.events;
        reads += outcome.reads;
        for (kind, count) in outcome.faults {
            *faults.entry(kind).or_default() += count;
        }
        if let Some((name, wrong)) = outcome.broken.first() {
            let seeds = failures.entry(name.clone()).or_default();
            seeds.push(seed);
            if seeds.len() <= 3 {
                println!("seed {seed}: {name}: {}", wrong.first().map_or("", String::as_str));
            }
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{done} histories, {events} events, {reads} reads, {seconds:.1} s");
    println!("faults: {faults:?}");
    for (name, seeds) in &failures {
        println!("{} x {name}: {:?}", seeds.len(), seeds.iter().take(8).collect::<Vec<_>>());
    }
    anyhow::ensure!(failures.is_empty(), "failed");
    Ok(())
}
