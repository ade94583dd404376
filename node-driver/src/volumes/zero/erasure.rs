//! Erasing on a thread of its own, with its progress.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use placement::Bytes;
use program::spawn_blocking;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::pass::{ZeroError, Zeroed, erase};
use super::progress::Progress;
use crate::devices::{Devices, RawBytes};
use crate::volumes::error::StepError;

/// Progress is shown at most this often.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// What was erased is noted at most this often: that takes a look at all devices.
const NOTED_EVERY: u32 = 10;

/// A namespace that is being erased. The thread goes on if this is dropped.
pub(in crate::volumes) struct Erasure {
    devices: Arc<dyn Devices>,
    name: String,
    thread: JoinHandle<Result<Zeroed, StepError>>,
    progress: Arc<Progress>,
    begun: Timestamp,
    clock: Interval,
    /// How often progress was shown.
    ticks: u32,
}

impl Erasure {
    /// Starts to write zeros over every byte of the namespace `name`, until all are written or it is stopped.
    pub(in crate::volumes) fn start(devices: Arc<dyn Devices>, name: String, progress: Progress) -> Self {
        let progress = Arc::new(progress);
        let counter = Arc::clone(&progress);
        let (opened, id) = (Arc::clone(&devices), name.clone());
        let mut clock = interval(PROGRESS_EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick of an interval comes at once.
        clock.reset();
        Self {
            devices,
            name,
            thread: spawn_blocking(move || Ok(erase_all(&*opened.open_raw(&id)?, &id, &counter)?)),
            progress,
            begun: program::now(),
            clock,
            ticks: 0,
        }
    }

    /// The bytes that are zero a second later, or how it ended. Not to be called again after that.
    pub(in crate::volumes) async fn progress(&mut self) -> Result<ControlFlow<Zeroed, Bytes>, StepError> {
        tokio::select! {
            biased;
            ended = &mut self.thread => {
                let ended = ended?;
                if ended.is_err() {
                    self.note().await;
                }
                ended.map(ControlFlow::Break)
            }
            _ = self.clock.tick() => {
                self.ticks += 1;
                if self.ticks.is_multiple_of(NOTED_EVERY) {
                    self.note().await;
                }
                Ok(ControlFlow::Continue(self.zeroed()))
            }
        }
    }

    /// Notes what is erased, so that it is not written again after a crash.
    async fn note(&self) {
        let (devices, name, flushed) = (Arc::clone(&self.devices), self.name.clone(), self.progress.flushed());
        if flushed.is_zero() {
            return;
        }
        let noted = spawn_blocking(move || devices.note_erased(&name, flushed)).await;
        let noted = noted.map_err(StepError::from).and_then(|noted| Ok(noted?));
        if let Err(error) = noted {
            let error = program::chain(&error);
            tracing::warn!(
                volume = self.name,
                error,
                "not noted what is erased; after a crash it is erased again"
            );
        }
    }

    /// When it began.
    pub(in crate::volumes) fn begun(&self) -> Timestamp {
        self.begun
    }

    /// The bytes that are zero now, or were when it ended.
    pub(in crate::volumes) fn zeroed(&self) -> Bytes {
        self.progress.zeroed()
    }
}

fn erase_all(bytes: &dyn RawBytes, volume: &str, progress: &Progress) -> Result<Zeroed, ZeroError> {
    let erased = bytes.erased();
    if !erased.is_zero() {
        tracing::info!(volume, %erased, "an erasure was interrupted: what it wrote over is read, and not written again");
    }
    erase(bytes, progress)
}
