//! Erasing on a thread of its own, with its progress.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use placement::Bytes;
use program::spawn_blocking;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::pass::{Progress, Zeroed, erase};
use crate::devices::Devices;
use crate::volumes::error::StepError;

/// Progress is shown at most this often.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// A namespace that is being erased. The thread goes on if this is dropped.
pub(in crate::volumes) struct Erasure {
    thread: JoinHandle<Result<Zeroed, StepError>>,
    progress: Arc<Progress>,
    begun: Timestamp,
    clock: Interval,
}

impl Erasure {
    /// Starts to write zeros over every byte of the namespace `name`, until all are written or `stop`.
    pub(in crate::volumes) fn start(devices: Arc<dyn Devices>, name: String, stop: CancellationToken) -> Self {
        let progress = Arc::new(Progress::new(stop));
        let counter = Arc::clone(&progress);
        let mut clock = interval(PROGRESS_EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick of an interval comes at once.
        clock.reset();
        Self {
            thread: spawn_blocking(move || Ok(erase(&*devices.open_raw(&name)?, &counter)?)),
            progress,
            begun: program::now(),
            clock,
        }
    }

    /// The bytes that are zero a second later, or how it ended. Not to be called again after that.
    pub(in crate::volumes) async fn progress(&mut self) -> Result<ControlFlow<Zeroed, Bytes>, StepError> {
        tokio::select! {
            biased;
            ended = &mut self.thread => ended?.map(ControlFlow::Break),
            _ = self.clock.tick() => Ok(ControlFlow::Continue(self.zeroed())),
        }
    }

    /// The bytes that are zero now, or were when it ended.
    /// When it began.
    pub(in crate::volumes) fn begun(&self) -> Timestamp {
        self.begun
    }

    pub(in crate::volumes) fn zeroed(&self) -> Bytes {
        self.progress.zeroed()
    }
}
