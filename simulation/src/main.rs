//! Lives through one history, in a process of its own: some libraries count for the whole process, so that a second history in
//! it would go another way.

mod hashing;
mod reached;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use simulation::history::{History, Outcome};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use reached::Reached;

/// Lives through one history of the whole system, with every fault that the world has. `cargo soak` runs many.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// What everything else follows from.
    seed: u64,
    /// The numbers of steps that do not happen, to find out which of them matter.
    #[arg(long, value_delimiter = ',')]
    leave_out: Vec<usize>,
    /// How to print what became of it. The environment variable `RUST_LOG` adds what the programs and the simulation say.
    #[arg(long, value_enum, default_value_t)]
    print: Print,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Print {
    /// For people, with each step.
    #[default]
    Text,
    /// One line of JSON.
    Json,
}

/// What the program ends with if an invariant did not hold. A panic ends it with 101, another error with 1.
const BROKEN: u8 = 3;

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let reached = watch_programs();
    let mut history = History::of(args.seed);
    history.leave_out(&args.leave_out);
    hashing::make_repeatable(args.seed);
    let mut outcome = history.run()?;
    outcome.reached = reached.places();
    match args.print {
        Print::Text => print(&history, &outcome),
        Print::Json => println!("{}", serde_json::to_string(&outcome)?),
    }
    Ok(if outcome.broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(BROKEN)
    })
}

/// The programs report each failure that the simulation makes: only who looks into a history wants to read that.
fn watch_programs() -> Reached {
    let reached = Reached::default();
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::OFF.into());
    let log = fmt::layer()
        .with_ansi(false)
        .without_time()
        .with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(reached.clone().with_filter(LevelFilter::DEBUG))
        .with(log.with_filter(filter.from_env_lossy()))
        .init();
    reached
}

fn print(history: &History, outcome: &Outcome) {
    let History {
        seed,
        nodes,
        schedulers,
        ..
    } = history;
    println!("seed {seed}, {nodes} nodes, {schedulers} schedulers");
    for step in &history.steps {
        println!("  {step}");
    }
    println!(
        "{} events, {} reads by pods, {} s of simulated time, fingerprint {:x}",
        outcome.events, outcome.reads, outcome.simulated_seconds, outcome.fingerprint
    );
    for broken in &outcome.broken {
        println!("BROKEN: {}", broken.invariant);
        for wrong in &broken.wrong {
            println!("  {wrong}");
        }
    }
}
