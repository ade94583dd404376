//! Puts a defect back that was mended once, and sees whether the simulation finds it again.
//!
//! Each patch in `simulation/put-back` is applied to a copy of the tree. The simulation is built there once, with the code of all
//! patches; which of them is back, its environment says. Histories are lived through until one fails that the simulation lives
//! through without the patch.

mod bodies;
mod patch;
mod search;
mod table;
mod tree;

use std::time::Duration;

use anyhow::{Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};

use patch::Patch;
use search::{Found, search};
use table::Table;
use tree::Tree;

use super::simulation::Simulation;
use super::{at_a_time, known_seeds, seed_of_now};

/// Puts back each defect, or those of these names, and lives through histories until one shows it, up to `time` for each: those
/// from seed `first` on, or else those that found something once, and then ones that nobody has seen before.
///
/// # Errors
/// One was not found, or its patch does not apply any more, or what it makes of the tree does not build.
pub(crate) async fn run(only: &[String], first: Option<u64>, time: Duration) -> Result<()> {
    let patches = patch::chosen(only)?;
    let known: Vec<u64> = known_seeds().take_while(|_| first.is_none()).collect();
    let first = first.unwrap_or_else(seed_of_now);
    println!("  {} known histories, then from seed {first} on", known.len());
    let seeds = || known.iter().copied().chain(first..);
    let tree = Tree::open()?;
    tree.put_back(&patches).await?;
    let healthy = Simulation::of(tree.build().await?);
    let finds = stream::iter(patches).map(|patch| find(&healthy, patch, seeds(), time));
    let table = Table(finds.buffered(at_a_time()).try_collect().await?);
    print!("{table}");
    let missed = table.missed();
    ensure!(missed.is_empty(), "not found: {}", missed.join(", "));
    Ok(())
}

async fn find(healthy: &Simulation, patch: Patch, seeds: impl Iterator<Item = u64>, time: Duration) -> Result<Found> {
    let simulation = healthy.with(bodies::VARIABLE, &patch.name);
    let found = search(&simulation, healthy, patch, seeds, time).await?;
    println!("  {found}");
    Ok(found)
}
