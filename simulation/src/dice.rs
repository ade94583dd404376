//! Randomness that depends on the seed alone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Randomness of one part of the simulation, so that a part that throws more dice changes nothing for the others. Clones share
/// it.
#[derive(Clone, Debug)]
pub struct Dice(Arc<Mutex<fastrand::Rng>>);

impl Dice {
    /// The dice of the part of that name.
    #[must_use]
    pub fn new(seed: u64, part: &str) -> Self {
        let mixed = part.bytes().fold(seed, |mixed, byte| {
            (mixed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(29)
        });
        Self(Arc::new(Mutex::new(fastrand::Rng::with_seed(mixed))))
    }

    /// Lets `throw` throw them.
    pub fn with<T>(&self, throw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        throw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A number below `bound`; 0 if that is 0.
    #[must_use]
    pub fn below(&self, bound: usize) -> usize {
        if bound == 0 {
            0
        } else {
            self.with(|rng| rng.usize(..bound))
        }
    }

    /// A duration of at most `longest`, to the millisecond.
    #[must_use]
    pub fn up_to(&self, longest: Duration) -> Duration {
        let longest = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.with(|rng| rng.u64(..=longest)))
    }

    /// True in `share` of a thousand cases.
    #[must_use]
    pub fn happens(&self, share: u32) -> bool {
        share > 0 && self.with(|rng| rng.u32(..1000)) < share
    }

    /// One of them; none if there is none.
    pub fn pick<'a, T>(&self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }
}
