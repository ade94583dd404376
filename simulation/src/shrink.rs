//! Makes a failing history smaller, as long as it fails in the same way.

use crate::history::{History, Outcome};

/// The smallest history found that breaks the same invariant, and its outcome. At most `tries` histories are tried.
///
/// # Errors
/// There is no runtime for a history.
pub fn shrink(history: &History, outcome: Outcome, tries: usize) -> std::io::Result<(History, Outcome)> {
    let (mut best, mut best_outcome) = (history.clone(), outcome);
    best.steps.truncate(best_outcome.steps);
    let mut size = best.steps.len().div_ceil(2);
    let mut left = tries;
    while size > 0 && left > 0 {
        let mut from = 0;
        let mut is_smaller = false;
        while from < best.steps.len() && left > 0 {
            left -= 1;
            let candidate = without(&best, from, size);
            let outcome = candidate.run()?;
            if is_same(&outcome, &best_outcome) {
                (best, best_outcome, is_smaller) = (candidate, outcome, true);
            } else {
                from += size;
            }
        }
        if !is_smaller || size > 1 {
            size /= 2;
        }
    }
    Ok((best, best_outcome))
}

/// The time of what is left out stays.
fn without(history: &History, from: usize, size: usize) -> History {
    let mut smaller = history.clone();
    let to = (from + size).min(smaller.steps.len());
    let left_out: std::time::Duration = smaller.steps.drain(from..to).map(|step| step.after).sum();
    if let Some(next) = smaller.steps.get_mut(from) {
        next.after += left_out;
    }
    smaller
}

fn is_same(outcome: &Outcome, other: &Outcome) -> bool {
    let first = |outcome: &Outcome| outcome.broken.first().map(|(name, _)| name.clone());
    first(outcome).is_some() && first(outcome) == first(other)
}
