//! The clock on the wall, and the threads for work that blocks. All programs take them from here, so that a simulation can give
//! those on its thread its own.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinHandle;

/// What a simulation puts in the place of the world.
pub trait Surroundings {
    /// What the clock on the wall shows. It may jump.
    fn now(&self) -> Timestamp;

    /// How long the next piece of work that blocks takes.
    fn blocking_time(&self) -> Duration;
}

thread_local! {
    static SIMULATED: RefCell<Option<Rc<dyn Surroundings>>> = const { RefCell::new(None) };
}

/// From now on, all that runs on this thread lives in these surroundings, or in the world again.
pub fn simulate(surroundings: Option<Rc<dyn Surroundings>>) {
    SIMULATED.set(surroundings);
}

/// What the clock on the wall shows: for people, never to measure how long something took.
#[must_use]
pub fn now() -> Timestamp {
    SIMULATED.with_borrow(|simulated| match simulated {
        Some(surroundings) => surroundings.now(),
        None => Timestamp::now(),
    })
}

/// As [`tokio::task::spawn_blocking`]. In a simulation the work is done on its one thread, after the time that it takes.
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let time = SIMULATED.with_borrow(|simulated| simulated.as_ref().map(|surroundings| surroundings.blocking_time()));
    match time {
        None => tokio::task::spawn_blocking(work),
        Some(time) => tokio::spawn(async move {
            tokio::time::sleep(time).await;
            work()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Surroundings for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
        fn blocking_time(&self) -> Duration {
            Duration::from_secs(3600)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_simulation_has_its_own_clock_and_no_threads() {
        simulate(Some(Rc::new(Fixed)));
        let (here, begun) = (std::thread::current().id(), tokio::time::Instant::now());
        let there = spawn_blocking(|| std::thread::current().id()).await.unwrap();
        assert_eq!((now(), there), (Timestamp::UNIX_EPOCH, here));
        assert_eq!(begun.elapsed(), Duration::from_secs(3600));
        simulate(None);
        assert!(now() > Timestamp::UNIX_EPOCH);
        assert_ne!(spawn_blocking(|| std::thread::current().id()).await.unwrap(), here);
    }
}
