//! Maps of libraries iterate in an order that depends on random keys: kube polls its reconciles so. Here the keys depend on the
//! seed, or a history could not be repeated.

use std::cell::Cell;
use std::sync::Once;

use rand::SeedableRng;
use rand::rngs::StdRng;

thread_local! {
    static HASHERS: Cell<usize> = const { Cell::new(0) };
}

/// A counter for each thread, where ahash has one for the process.
struct Counted;

impl ahash::random_state::RandomSource for Counted {
    fn gen_hasher_seed(&self) -> usize {
        HASHERS.set(HASHERS.get() + 1);
        HASHERS.get()
    }
}

/// From now on, what the next thread gets as randomness of the operating system follows from the seed.
pub fn make_repeatable(seed: u64) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        mad_turmoil::rand::set_rng(StdRng::seed_from_u64(0));
        // It was set already only if somebody else did.
        let _ = ahash::random_state::set_random_source(Counted);
        // Its fixed keys are drawn once for the process.
        let _ = ahash::RandomState::new();
    });
    *mad_turmoil::rand::get_rng() = StdRng::seed_from_u64(seed);
}
