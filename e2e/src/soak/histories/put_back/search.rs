//! Lives through histories until one shows the defect.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::patch::Patch;
use crate::soak::histories::simulation::Simulation;

/// What became of a defect that was put back.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) patch: Patch,
    /// The first history that shows it, and the invariant that broke; none if none did in time.
    pub(super) by: Option<(u64, String)>,
    pub(super) histories: u64,
    pub(super) seconds: u64,
}

/// One history after the other, so that the time is that of one processor. One that fails without the defect as well says
/// nothing of it.
pub(super) async fn search(
    simulation: &Simulation,
    healthy: &Simulation,
    patch: Patch,
    seeds: impl Iterator<Item = u64>,
    time: Duration,
) -> Result<Found> {
    let began = Instant::now();
    let (mut by, mut histories) = (None, 0);
    for seed in seeds.take_while(|_| began.elapsed() < time) {
        let shown = shown_by(simulation, healthy, seed).await?;
        by = shown.map(|invariant| (seed, invariant));
        histories += 1;
        if by.is_some() {
            break;
        }
    }
    Ok(Found {
        patch,
        by,
        histories,
        seconds: began.elapsed().as_secs(),
    })
}

/// The invariant that breaks only with the defect, if one does.
async fn shown_by(simulation: &Simulation, healthy: &Simulation, seed: u64) -> Result<Option<String>> {
    let lived = simulation.live(seed, &[]).await?;
    let Some(broken) = lived.invariant() else {
        return Ok(None);
    };
    let is_the_defect = healthy.live(seed, &[]).await?.invariant().is_none();
    Ok(is_the_defect.then(|| broken.to_owned()))
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            patch,
            by,
            histories,
            seconds,
        } = self;
        match by {
            Some((seed, invariant)) => write!(
                f,
                "{}: found by \"{invariant}\" with seed {seed}, after {histories} histories, {seconds} s",
                patch.name
            ),
            None => write!(f, "{}: NOT FOUND by {histories} histories, {seconds} s", patch.name),
        }
    }
}
