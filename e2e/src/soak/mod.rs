//! `cargo soak`: volumes are made, used and erased at random, with crashes in between, until the time is over or something
//! is wrong.
//!
//! The same seed draws the same sequence again. What is checked, and how the matrix reads: `docs/soak-on-the-kernel.md`.

mod carry_out;
mod checks;
mod choose;
mod content;
mod counts;
mod crash_points;
mod device_bytes;
mod ending;
mod finding;
mod foreign;
pub(crate) mod histories;
mod kernel;
mod kind;
mod layout;
mod life;
mod log;
mod matrix;
mod operation;
mod part;
mod program;
mod session;
mod totals;
mod volume;
mod world;
mod write;

use std::time::Duration;

use anyhow::Result;
use clap::Args;

/// For how long, and where.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// On a real kernel with emulated persistent memory, in a virtual machine, instead of within one process
    #[arg(long)]
    vm: bool,
    /// How long new operations are begun
    #[arg(long, value_name = "N", default_value_t = 10)]
    minutes: u64,
    /// Draw the sequence of an earlier run again
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Put defects back that were mended, and see that the simulation finds each
    ///
    /// The simulation is built once in a copy of the tree, with each patch in simulation/put-back, or those of these names, behind
    /// a switch. For each, histories are lived through until one fails or --minutes are over: those that found something once,
    /// then ones that nobody has seen before; only those from --seed on, if there is one. What is not found is an error. For example:
    /// `cargo soak --put-back`, `cargo soak --put-back unseen-label,stays-down --minutes 2 --seed 1`.
    #[arg(long, value_name = "NAME", num_args = 0.., value_delimiter = ',', conflicts_with = "vm")]
    put_back: Option<Vec<String>>,
}

/// Soaks until the time is over. It is an error if anything was lost, shown, leaked or stuck.
pub(crate) async fn run(options: Options) -> Result<()> {
    if options.vm {
        return Box::pin(kernel::run(&options)).await;
    }
    let time = Duration::from_secs(60 * options.minutes);
    if let Some(only) = options.put_back {
        return histories::put_back::run(&only, options.seed, time).await;
    }
    histories::soak(options.seed, time).await
}
