//! Erasing in the background, with progress in the volume's status.

use std::sync::Arc;
use std::time::Duration;

use crds::PmemVolume;
use jiff::Timestamp;
use placement::Bytes;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use super::done::{Done, Place};
use super::error::WorkError;
use super::record::Record;
use super::says;
use super::worker::Worker;
use super::zero::{Progress, ZeroError, erase};

/// Progress is written at most this often, and only if it grew by a hundredth.
const TELL_EVERY: Duration = Duration::from_secs(1);
const WORTH_TELLING: i64 = 100;

impl<R: Record> Worker<R> {
    /// Writes zeros over every byte of the volume, once no other erasure is at work in the region. Returns the volume as it
    /// was written last.
    pub(super) async fn erase(&self, mut volume: PmemVolume, place: Place) -> Result<PmemVolume, WorkError> {
        self.journal.set(&volume, Done::Nothing);
        let turn = self.erasing.lock(&place.region);
        let Some(_turn) = self.stop.run_until_cancelled(turn).await else {
            return Err(ZeroError::Stopped.into());
        };
        let progress = Arc::new(Progress::new(self.stop.clone()));
        let (devices, counter) = (self.layout.devices(), Arc::clone(&progress));
        let name = volume.metadata.name.clone().unwrap_or_default();
        let mut work =
            spawn_blocking(move || -> Result<(), WorkError> { Ok(erase(&*devices.open_raw(&name)?, &counter)?) });
        let mut clock = interval(TELL_EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        clock.tick().await;
        let mut told = Bytes::ZERO;
        loop {
            tokio::select! {
                done = &mut work => {
                    done??;
                    break;
                }
                _ = clock.tick() => told = self.tell(&mut volume, &place, told, progress.done()).await,
            }
        }
        self.journal.set(&volume, Done::Zeroed(place));
        Ok(volume)
    }

    /// Writes how far it has come, and returns what people know then.
    async fn tell(&self, volume: &mut PmemVolume, place: &Place, told: Bytes, done: Bytes) -> Bytes {
        if done.minus(told).times(WORTH_TELLING) < place.extent.size {
            return told;
        }
        let before = volume.status.clone().unwrap_or_default();
        let status = says::erasing(&before, place, done, Timestamp::now());
        match self.record.write(volume, status).await {
            Ok(written) => {
                *volume = written;
                done
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "erasing goes on, but nobody can be told");
                told
            }
        }
    }
}
