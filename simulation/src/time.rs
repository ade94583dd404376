//! Simulated time: tokio's clock, which goes on when nothing is left to do, and a clock on the wall beside it that may jump.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use std::{io, thread};

use jiff::{SignedDuration, Timestamp};
use program::{Surroundings, simulate};
use tokio::time::{Instant, sleep};

use crate::dice::Dice;

thread_local! {
    /// By how many seconds the clock on the wall is wrong.
    static JUMPED: Cell<i64> = const { Cell::new(0) };
}

/// The longest that a piece of work that blocks takes.
const BLOCKING: Duration = Duration::from_millis(20);

/// Does something after a while.
pub fn later(long: Duration, act: impl FnOnce() + Send + 'static) {
    tokio::spawn(async move {
        sleep(long).await;
        act();
    });
}

struct Simulated {
    began: Instant,
    dice: Dice,
}

impl Surroundings for Simulated {
    fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.began.elapsed()).unwrap_or_default();
        // 2026-11-28.
        let began = Timestamp::from_second(1_795_824_000).unwrap_or(Timestamp::UNIX_EPOCH);
        let jumped = SignedDuration::from_secs(JUMPED.get());
        began.checked_add(passed + jumped).unwrap_or(began)
    }

    fn blocking_time(&self) -> Duration {
        self.dice.up_to(BLOCKING)
    }
}

/// Runs one simulation, on a thread of its own and with a clock of its own. The same seed and the same `simulation` make the
/// same history, in a process that began with the same randomness and has no other.
///
/// # Errors
/// There is no thread, or no runtime for it.
pub fn simulated<T: Send>(seed: u64, simulation: impl AsyncFnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, || on_this_thread(seed, simulation))?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn on_this_thread<T>(seed: u64, simulation: impl AsyncFnOnce() -> T) -> io::Result<T> {
    // kube takes the jitter of its pauses from here.
    fastrand::seed(seed);
    JUMPED.set(0);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    let result = runtime.block_on(async {
        simulate(Some(Rc::new(Simulated {
            began: Instant::now(),
            dice: Dice::new(seed, "blocking work"),
        })));
        simulation().await
    });
    simulate(None);
    Ok(result)
}

/// The clock on the wall jumps by so many seconds.
pub fn jump(seconds: i64) {
    JUMPED.set(JUMPED.get() + seconds);
}
