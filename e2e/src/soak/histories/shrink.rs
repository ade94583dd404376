//! Finds the steps of a failing history that matter.

use anyhow::Result;

use super::simulation::Simulation;

/// The numbers of the steps that can be left out while the same invariant breaks: half of them at once, then fewer and fewer.
pub(super) async fn shrink(simulation: &Simulation, seed: u64) -> Result<Vec<usize>> {
    let whole = simulation.live(seed, &[]).await?;
    let mut shrinking = Shrinking {
        simulation,
        seed,
        broken: whole.invariant().map(ToOwned::to_owned),
        kept: whole.steps,
        left_out: Vec::new(),
    };
    let mut size = shrinking.kept.len().div_ceil(2);
    while size > 0 {
        let got_smaller = shrinking.leave_out_each(size).await?;
        size = match size {
            1 => usize::from(got_smaller),
            size => size / 2,
        };
    }
    Ok(shrinking.left_out)
}

struct Shrinking<'a> {
    simulation: &'a Simulation,
    seed: u64,
    broken: Option<String>,
    kept: Vec<usize>,
    left_out: Vec<usize>,
}

impl Shrinking<'_> {
    /// Leaves out each group of so many steps that does not matter. True if there was one.
    async fn leave_out_each(&mut self, size: usize) -> Result<bool> {
        let (mut from, mut got_smaller) = (0, false);
        while from < self.kept.len() {
            let to = (from + size).min(self.kept.len());
            let without = [&self.left_out[..], &self.kept[from..to]].concat();
            if self.simulation.live(self.seed, &without).await?.invariant() == self.broken.as_deref() {
                self.left_out = without;
                self.kept.drain(from..to);
                got_smaller = true;
            } else {
                from = to;
            }
        }
        Ok(got_smaller)
    }
}
