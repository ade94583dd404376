//! How far a pass has come, how fast it may go, and whether it should stop.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use placement::Bytes;
use tokio_util::sync::CancellationToken;

use super::pass::ZeroError;
use crate::devices::RawBytes;

/// How much is flushed at once, so that little of it is done again after a crash.
const FLUSHED_AT_ONCE: Bytes = Bytes::mib(16);
/// One that waits looks this often whether it should stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How far a pass has come, how fast it may go, and whether it should stop.
#[derive(Debug, Default)]
pub struct Progress {
    zeroed: AtomicI64,
    /// All before this byte are done.
    reached: AtomicI64,
    /// All before this byte are done, and survive a power loss.
    flushed: Mutex<Bytes>,
    pace: Option<Pace>,
    stop: CancellationToken,
}

/// Bytes in a second, and since when.
#[derive(Debug)]
struct Pace {
    rate: Bytes,
    since: Instant,
}

impl Progress {
    /// Of a pass that has not begun. It ends at `stop`.
    #[must_use]
    pub fn new(stop: CancellationToken) -> Self {
        Self {
            stop,
            ..Self::default()
        }
    }

    /// The same, for no more bytes in a second than `rate`, if there is one.
    #[must_use]
    pub fn at_most(self, rate: Option<Bytes>) -> Self {
        let since = Instant::now();
        let pace = rate.map(|rate| Pace { rate, since });
        Self { pace, ..self }
    }

    /// Bytes that are zero.
    #[must_use]
    pub fn zeroed(&self) -> Bytes {
        bytes_in(&self.zeroed)
    }

    /// All before this byte are zero, and survive a power loss.
    #[must_use]
    pub fn flushed(&self) -> Bytes {
        // It is replaced whole, so a panic elsewhere leaves nothing half done.
        *self.flushed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until more bytes may be written.
    pub(super) fn wait_for_turn(&self) -> Result<(), ZeroError> {
        loop {
            if self.stop.is_cancelled() {
                return Err(ZeroError::Stopped);
            }
            match self.pace.as_ref().map(|pace| pace.early_by(self.zeroed())) {
                None | Some(Duration::ZERO) => return Ok(()),
                Some(early) => sleep(early.min(LOOK_EVERY)),
            }
        }
    }

    pub(super) fn zeroed_more(&self, size: Bytes) {
        self.zeroed.fetch_add(size.get(), Ordering::Relaxed);
    }

    /// All before this byte are done: they are flushed, if they are enough.
    pub(super) fn reached(&self, byte: Bytes, bytes: &dyn RawBytes) -> Result<(), ZeroError> {
        self.reached.fetch_max(byte.get(), Ordering::Relaxed);
        if byte.minus(self.flushed()) < FLUSHED_AT_ONCE {
            return Ok(());
        }
        self.flush(bytes)
    }

    /// Flushes all that is done.
    pub(super) fn flush(&self, bytes: &dyn RawBytes) -> Result<(), ZeroError> {
        let mut flushed = self.flushed.lock().unwrap_or_else(PoisonError::into_inner);
        let reached = bytes_in(&self.reached);
        bytes.flush().map_err(ZeroError::Flush)?;
        *flushed = reached;
        Ok(())
    }
}

impl Pace {
    /// How much later so many bytes should be done.
    fn early_by(&self, done: Bytes) -> Duration {
        let taken = self.since.elapsed();
        let micros = i128::from(done.get()) * 1_000_000 / i128::from(self.rate.get().max(1));
        let due = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        due.saturating_sub(taken)
    }
}

fn bytes_in(count: &AtomicI64) -> Bytes {
    Bytes::try_from(count.load(Ordering::Relaxed)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_too_fast_waits() {
        let pace = Pace {
            rate: Bytes::mib(1),
            since: Instant::now(),
        };
        assert_eq!(pace.early_by(Bytes::ZERO), Duration::ZERO);
        let early = pace.early_by(Bytes::mib(3600));
        assert!(
            Duration::from_secs(3500) < early && early <= Duration::from_secs(3600),
            "{early:?}"
        );
    }

    #[test]
    fn who_waits_can_be_stopped() {
        let stop = CancellationToken::new();
        let progress = Progress::new(stop.clone()).at_most(Some(Bytes::mib(1)));
        assert!(progress.wait_for_turn().is_ok());
        progress.zeroed_more(Bytes::mib(3600));
        stop.cancel();
        assert!(matches!(progress.wait_for_turn(), Err(ZeroError::Stopped)));
    }
}
