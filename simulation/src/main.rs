//! Lives through one history, in a process of its own: some libraries count for the whole process, so that a second history in
//! it would go another way.

mod hashing;

use clap::{Parser, ValueEnum};
use simulation::history::{History, Outcome};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

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

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    // The programs report each failure that the simulation makes: only who looks into a history wants that.
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::OFF.into())
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .without_time()
        .with_writer(std::io::stderr)
        .init();
    let mut history = History::of(args.seed);
    history.leave_out(&args.leave_out);
    hashing::make_repeatable(args.seed);
    let outcome = history.run()?;
    match args.print {
        Print::Text => print(&history, &outcome),
        Print::Json => println!("{}", serde_json::to_string(&outcome)?),
    }
    Ok(())
}

fn print(history: &History, outcome: &Outcome) {
    println!("seed {}, {} nodes", history.seed, history.nodes);
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
